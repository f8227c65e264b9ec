-- read_bounds: read which queues are bounded, and how many rows that nobody has claimed wait in each.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV    none
-- reply   BOUNDS (queue, 'revision most declared', waiting) x queues
--         most: in the namespace, '' if any number may wait; declared: other content of the same revision, if any
-- bound   what was ever bounded, 100 queues at a time
--- @include "partition"
local reply, found = { 'BOUNDS' }, redis.call('HGETALL', K .. 'bounds')
for at = 1, #found, 2 do
  reply[#reply + 1], reply[#reply + 2] = found[at], found[at + 1]
  reply[#reply + 1] = int(redis.call('ZCARD', K .. 'new:' .. found[at]))
end
return reply
