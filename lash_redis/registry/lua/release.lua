-- release: give leases back; the work goes to its lane, or to uncertain if it is owner-bound and started.
-- needs:  the leases, live or lapsed   twice: a stale token or fence moves nothing
-- flags   allow-oom
-- connections control
-- KEYS 1  partition header
-- ARGV 1  owner digest   ARGV 2.. (id, token, fence) x rows
-- reply   RELEASED ('1' given back, '0' stale) x rows
-- bound   rows <= 500
--- @include "row"
--- @include "planned_writes"
--- @include "give_back"
--- @include "take_back_loss"
--- @include "may_leave_lease"
--- @include "count_release"
local me = ARGV[1]

local reply = { 'RELEASED' }
for at = 2, #ARGV, 3 do
  local id, token, fence = unpack(ARGV, at, at + 2)
  local row = read_row(id)
  local open = row and not row.state
  local current = open and may_leave_lease(row, me, token, fence)
  if open then
    take_back_loss(row, token)
  end
  if current then
    count_release(row)
    give_back(row)
  end
  reply[#reply + 1] = current and '1' or '0'
end
commit()
return reply
