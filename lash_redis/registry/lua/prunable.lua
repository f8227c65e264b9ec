-- prunable: count the terminal processes that ended before a time: what prune would forget.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  before, ms   ARGV 2 '1' if the time is so long before now, ms
-- reply   PRUNABLE number (number abandoned before that time and not resolved, which stay)
-- bound   one index for each task and state, counted without a walk
--- @include "partition"
--- @include "row"
--- @include "ended_before"
--- @include "ended_index"
--- @include "ended_kinds"
local before = ended_before(ARGV[1], ARGV[2])

local found = 0
for _, kind in ipairs(ended_kinds()) do
  found = found + redis.call('ZCOUNT', ended_index(kind.name), '-inf', before)
end
return { 'PRUNABLE', int(found), int(redis.call('ZCOUNT', K .. UNRESOLVED_INDEX, '-inf', before)) }
