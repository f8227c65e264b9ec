-- renew: move the expiry of live leases, each named by its owner, token and fence.
-- needs:  the live leases         twice: the expiry is only moved again
-- flags   allow-oom
-- line    control
-- KEYS 1  partition prefix
-- ARGV 1  owner digest   ARGV 2 ttl, ms   ARGV 3.. (id, token, fence) x rows
-- reply   RENEWED (expires or '') x rows
-- bound   rows <= 500
--- @include "row"
--- @include "plan"
local me, ttl = ARGV[1], tonumber(ARGV[2])

local reply = { 'RENEWED' }
for at = 3, #ARGV, 3 do
  local id, token, fence = unpack(ARGV, at, at + 2)
  local row = read_row(id)
  if row and not row.state and row.holder == me and row.token == token and row.fence == fence and is_live(row) then
    local expires = int(math.max(tonumber(row.expires), now + ttl))
    index_add(K .. 'leases', expires, id)
    store(lease_key(id), token, expires)
    write_row(id, 'ex', expires)
    reply[#reply + 1] = expires
  else
    reply[#reply + 1] = ''
  end
end
commit()
return reply
