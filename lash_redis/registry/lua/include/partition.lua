-- The partition's keys (registry/keys.py lists them all), the time, how a number becomes text, and the longest batch.
-- The one key that a script names is the partition's header. It exists, so that a server of a cluster that gives the
-- slot away answers as it should.
local K = string.sub(KEYS[1], 1, -4)

-- The last argument of every script is the uuid of the namespace that the caller opened ('' while it is being opened).
-- In another namespace, or where the header is gone, no row and no index says anything of what the caller knew, so that
-- nothing is looked at (rule 8.2). What every script must know beside it stands in the header too, and is read with it.
local header = redis.call('HMGET', K .. 'hdr', 'uuid', 'due', 'watcher', 'paused', 'bounded', 'clock',
  'sequence')
do
  local uuid = table.remove(ARGV)
  if uuid ~= '' and header[1] ~= uuid then
    return { 'MISMATCH' }
  end
end

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
