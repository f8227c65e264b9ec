-- claim: give one owner the single-writer lease of one process, if it is free or lapsed.
-- needs:  nothing held            twice: the same owner finds its own live lease and extends it
-- flags   none
-- line    claim
-- KEYS 1  partition prefix
-- ARGV 1  namespace uuid   ARGV 2 id   ARGV 3 owner digest   ARGV 4 owner   ARGV 5 token   ARGV 6 ttl, ms
-- reply   ACQUIRED lease · BUSY lease · STARTED_BY owner · UNKNOWN · TERMINAL state · AUTHORITY · MISMATCH
-- bound   1 row
--- @include "grant"
local uuid, id, me, owner, token, ttl = unpack(ARGV)

local row = read_row(id)
local refusal = refused(uuid, row)
if refusal then
  return refusal
end
if not is_live(row) then
  return grant(row, me, owner, token, tonumber(ttl))
end
if row.holder ~= me then
  return holder_reply('BUSY', row)
end
extend(row, tonumber(ttl))
commit()
return holder_reply('ACQUIRED', row)
