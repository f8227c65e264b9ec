-- renew: move the expiry of live leases, each named by its owner, token and fence.
-- needs:  the live leases         twice: the expiry is only moved again
-- flags   allow-oom
-- connections control
-- KEYS 1  partition header
-- ARGV 1  owner digest   ARGV 2 ttl, ms   ARGV 3.. (id, token, fence) x rows
-- reply   RENEWED (expires or '') x rows
-- bound   rows <= 500
--- @include "row"
--- @include "planned_writes"
--- @include "is_holder"
--- @include "extend_lease"
local me, ttl = ARGV[1], tonumber(ARGV[2])

local reply = { 'RENEWED' }
for at = 3, #ARGV, 3 do
  local id, token, fence = unpack(ARGV, at, at + 2)
  local row = read_row(id)
  local renewed = row and not row.state and is_holder(row, me, token, fence) and is_live(row)
  if renewed then
    extend_lease(row, ttl)
  end
  reply[#reply + 1] = renewed and row.expires or ''
end
commit()
return reply
