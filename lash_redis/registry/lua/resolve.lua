-- resolve: record what was found out about an abandoned process, beside its fact, which it does not change.
-- needs:  an abandoned fact       twice: the first resolution stands
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  id   ARGV 2 resolution   ARGV 3 the first letter of its kind
-- reply   DONE row · UNKNOWN · UNRESOLVABLE state, before the end its place
-- bound   1 row, 100 rows that wait for it
--- @include "row"
--- @include "planned_writes"
--- @include "row_reply"
--- @include "write_resolution"
local id, resolution, kind = ARGV[1], ARGV[2], ARGV[3]

local row = read_row(id)
if not row then
  return { 'UNKNOWN' }
end
if row.state ~= ABANDONED then
  return { 'UNRESOLVABLE', row.state or row.place }
end
write_resolution(row, resolution, kind)
commit()
return { 'DONE', row_reply(id) }
