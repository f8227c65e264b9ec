-- The partition's keys (the data dictionary is registry/keys.py), its clock, and how numbers become text.
local K = KEYS[1] .. ':'

-- Once: on Redis 7.0 two calls in one script can differ (design, section 6).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- tostring() would round a 16-digit number.
local function int(number)
  return string.format('%.0f', number)
end
