-- close_group: let a group's continuation go, which no further member will join, once its members have ended.
-- needs:  a continuation          twice: a closed one stays as it is
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  id of the continuation
-- reply   DONE row · UNKNOWN · NO_GROUP
-- bound   1 row, and 100 that wait for it
--- @include "row"
--- @include "planned_writes"
--- @include "row_reply"
--- @include "is_group"
--- @include "waiting/hear_of"
--- @include "ending/finish"
local id = ARGV[1]

local row = read_row(id)
if not row then
  return { 'UNKNOWN' }
elseif not is_group(row) then
  return { 'NO_GROUP' }
end
hear_of(id, { { id = '*', completed = true } }, finish)
commit()
return { 'DONE', row_reply(id) }
