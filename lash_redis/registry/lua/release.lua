-- release: give leases back; the work goes to its lane, or to uncertain if it is owner-bound and started.
-- needs:  the leases, live or lapsed   twice: a stale token or fence moves nothing
-- flags   allow-oom
-- line    control
-- KEYS 1  partition prefix
-- ARGV 1  owner digest   ARGV 2.. (id, token, fence) x rows
-- reply   RELEASED ('1' given back, '0' stale) x rows
-- bound   rows <= 500
--- @include "places"
--- @include "wake_one"
local me = ARGV[1]

local reply, lanes = { 'RELEASED' }, {}

local function give_back(row)
  if row.disposition == OWNER_BOUND and row.starter then
    make_uncertain(row)
  elseif row.cancel_request and cancel_settles(row) then
    finish(row, 'k', '', next_fence(row))
  else
    queue_again(row)
    lanes[row.lane] = true
  end
end

for at = 2, #ARGV, 3 do
  local id, token, fence = unpack(ARGV, at, at + 2)
  local row = read_row(id)
  local current = row and not row.state and row.holder == me and row.token == token and row.fence == fence
  if current then
    give_back(row)
  end
  -- The holder returned and gave the work up after all, so its own lapse was no loss.
  if row and not row.state and row.lost_token == token and tonumber(row.losses or 0) > 0 then
    write_row(id, 'lo', int(tonumber(row.losses) - 1))
    clear_fields(id, 'lt')
  end
  reply[#reply + 1] = current and '1' or '0'
end
commit()
for lane in pairs(lanes) do
  wake(lane)
end
return reply
