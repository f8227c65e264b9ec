--- @include "partition"
-- How many others wait for work of a queue and claimed since a time; at most so many are counted.
local function idle_others(queue, me, since, most)
  local others, key = 0, K .. 'idle:' .. queue
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', key, int(since), '+inf', 'LIMIT', '0', int(most))) do
    others = others + (name == me and 0 or 1)
  end
  return others
end
