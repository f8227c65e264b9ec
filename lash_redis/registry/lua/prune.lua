-- prune: forget terminal processes that ended before a time, abandoned ones only if they are resolved.
-- needs:  nothing                 twice: nothing is left to forget
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  before, ms   ARGV 2 limit   ARGV 3 '1' if the time is so long before now, ms
-- reply   PRUNED number (number abandoned before that time and not resolved, which stay)
-- bound   rows <= 500, one index for each task and state
--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "ended_before"
--- @include "ended_index"
--- @include "ended_kinds"
--- @include "forget_row"
local limit = tonumber(ARGV[2])
local before = ended_before(ARGV[1], ARGV[3])

local found = 0
for _, kind in ipairs(ended_kinds()) do
  local key = ended_index(kind.name)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', before, 'LIMIT', '0', int(limit - found))) do
    local row = read_row(id)
    -- The index is a hint (rule 8.7): a row that did not end so is only taken out of it.
    if not row or row.state ~= kind.state then
      found = found + 1
      index_remove(key, id)
    elseif forget_row(row) then
      found = found + 1
    end
  end
end
commit()
return { 'PRUNED', int(found), int(redis.call('ZCOUNT', K .. UNRESOLVED_INDEX, '-inf', before)) }
