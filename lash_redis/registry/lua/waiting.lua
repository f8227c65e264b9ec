-- waiting: say whether rows wait that a worker with a list of lanes would run, and how many are delayed.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  name of the list of lanes   ARGV 2.. keyed lanes of the list
-- reply   WAITING waits delayed
--         waits: '1' if rows are queued in a lane that is not paused, those of parked keys included
-- bound   the lanes of the list, keyed lanes <= 500
--- @include "partition"
--- @include "row"
--- @include "is_paused"
local waits = '0'
for _, lane in ipairs(redis.call('ZINTER', '2', K .. 'lanes', K .. 'serves:' .. ARGV[1])) do
  waits = is_paused(lane) and waits or '1'
end
for at = 2, #ARGV do
  if redis.call('ZCARD', K .. 'parked:' .. ARGV[at]) > 0 and not is_paused(ARGV[at]) then
    waits = '1'
  end
end
return { 'WAITING', waits, int(redis.call('ZCARD', K .. INDEX[DELAYED])) }
