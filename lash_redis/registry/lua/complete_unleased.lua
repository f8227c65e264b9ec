-- complete_unleased: write the terminal fact of externally owned work under its explicit authority.
-- needs:  the grantee's name      twice: the same fact by the same authority is answered as done
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  id   ARGV 2 state   ARGV 3 outcome   ARGV 4 grantee
-- reply   DONE row · UNKNOWN · TERMINAL state · AUTHORITY
-- bound   1 row
--- @include "row"
--- @include "planned_writes"
--- @include "has_outcome"
--- @include "row_reply"
--- @include "ending/finish"
--- @include "next_fence"
local id, state, outcome, authority = unpack(ARGV)

local row = read_row(id)
if not row then
  return { 'UNKNOWN' }
end
local f = redis.call('HMGET', row_key(id), 'gr', 'by')
local grantee, completed_by = f[1], f[2]
if row.state then
  if completed_by == authority and row.state == state and has_outcome(id, outcome) then
    return { 'DONE', row_reply(id) }
  end
  return { 'TERMINAL', row.state }
end
if row.disposition ~= EXTERNALLY_OWNED or (grantee and grantee ~= authority) or state == ABANDONED then
  return { 'AUTHORITY' }
end
finish(row, state, outcome, next_fence(row))
write_row(id, 'by', authority)
commit()
return { 'DONE', row_reply(id) }
