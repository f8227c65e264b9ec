-- prunable: count the terminal processes that ended before a time: what prune would forget.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  before, ms   ARGV 2 '1' if the time is so long before now, ms
-- reply   PRUNABLE number
-- bound   4 indexes, counted without a walk
--- @include "partition"
--- @include "row"
--- @include "ended_before"
--- @include "ended_index"
local before = ended_before(ARGV[1], ARGV[2])

local found = 0
for _, state in ipairs({ COMPLETED, FAILED, CANCELLED, ABANDONED }) do
  found = found + redis.call('ZCOUNT', ended_index(state), '-inf', before)
end
return { 'PRUNABLE', int(found) }
