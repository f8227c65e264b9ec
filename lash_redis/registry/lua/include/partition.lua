--- @include "header"
-- The partition (registry/keys.py lists its keys), the time, how a number becomes text, and the longest batch. What may
-- need no time includes the header alone.

-- How many items a call or an answer has at most, and how many bytes of payload; one longer payload goes alone.
local MAX_BATCH = 500
local MAX_BYTES = 1048576

-- The script reads the clock once: on Redis 7.0 two answers in one script can differ (rule 3.1).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- tostring() would round a number of 16 digits. Most numbers are asked for more than once.
local int_texts = {}
local function int(number)
  local text = int_texts[number]
  if not text then
    text = string.format('%.0f', number)
    int_texts[number] = text
  end
  return text
end

-- A text under a key of its own; false if there is none, or something else.
local function text_at(key)
  return redis.call('MGET', key)[1]
end

-- Milliseconds, as a script writes and answers them.
local now_text = int(now)
