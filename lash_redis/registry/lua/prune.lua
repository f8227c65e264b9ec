-- prune: forget terminal processes that ended before a time.
-- needs:  nothing                 twice: nothing is left to forget
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  before, ms   ARGV 2 limit
-- reply   PRUNED number
-- bound   rows <= 500
--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "count_ended"
local before, limit = ARGV[1], ARGV[2]

local ids = redis.call('ZRANGEBYSCORE', K .. 'done', '-inf', '(' .. before, 'LIMIT', '0', limit)
for _, id in ipairs(ids) do
  local row = read_row(id)
  index_remove(K .. 'done', id)
  -- The index is a hint (rule 8.7): a row that is not terminal is only taken out of it.
  if row and row.state then
    count_ended(row, row.state, -1)
    drop(row_key(id))
    drop(K .. 'i:' .. id)
    drop(K .. 'o:' .. id)
  end
end
commit()
return { 'PRUNED', int(#ids) }
