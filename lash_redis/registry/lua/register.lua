-- register: write new processes into their lanes (or outside, or delayed), all of the batch or none.
-- needs:  the namespace's header  twice: the same content answers as known, other content is a conflict
-- flags   none
-- connections calls
-- KEYS 1  partition header
-- ARGV 1.. (id, disposition, lane, input, content digest, number of further fields,
--         (field, value) x further fields) x rows
--         A further field is stored as it is. One whose name begins with '+' asks for something: '+in' ms or '+at' ms
--         (since the epoch) delays the row.
-- reply   REGISTERED now ('1' new, '0' known) x rows · CONFLICT id..
-- bound   rows <= 500
--- @include "partition"
--- @include "planned_writes"
--- @include "register_row"
local conflicts, reply = { 'CONFLICT' }, { 'REGISTERED', now_text }

local at = 1
while at < #ARGV do
  local id, disposition, lane, input, content, further = unpack(ARGV, at, at + 5)
  local first, following = at + 6, at + 6 + 2 * tonumber(further)
  at = following
  local became = register_row(id, disposition, lane, input, content, { unpack(ARGV, first, following - 1) })
  if became == 'conflict' then
    conflicts[#conflicts + 1] = id
  end
  reply[#reply + 1] = became == 'new' and '1' or '0'
end
if #conflicts > 1 then
  return conflicts
end
commit()
return reply
