-- prune: forget terminal processes that ended before a time, abandoned ones only if they are resolved.
-- needs:  nothing                 twice: nothing is left to forget
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  before, ms   ARGV 2 limit   ARGV 3 '1' if the time is so long before now, ms
-- reply   PRUNED number
-- bound   rows <= 500
--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "count_ended"
--- @include "ended_before"
--- @include "ended_index"
local limit = tonumber(ARGV[2])
local before = ended_before(ARGV[1], ARGV[3])

local found = 0
for _, state in ipairs({ COMPLETED, FAILED, CANCELLED, ABANDONED }) do
  local key = ended_index(state)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', before, 'LIMIT', '0', int(limit - found))) do
    local row = read_row(id)
    found = found + 1
    index_remove(key, id)
    -- The index is a hint (rule 8.7): a row that did not end so is only taken out of it.
    if row and row.state == state then
      count_ended(row, state, -1)
      drop(row_key(id))
      drop(K .. 'i:' .. id)
      drop(K .. 'o:' .. id)
    end
  end
end
commit()
return { 'PRUNED', int(found) }
