-- release: give leases back; the work goes to its lane, or to uncertain if it is owner-bound and started.
-- needs:  the leases, live or lapsed   twice: a stale token or fence moves nothing
-- flags   allow-oom
-- connections control
-- KEYS 1  partition prefix
-- ARGV 1  owner digest   ARGV 2.. (id, token, fence) x rows
-- reply   RELEASED ('1' given back, '0' stale) x rows
-- bound   rows <= 500
--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "make_uncertain"
--- @include "cancel_settles"
--- @include "finish"
--- @include "next_fence"
--- @include "queue_again"
--- @include "is_holder"
--- @include "wake"
local me = ARGV[1]

local reply, lanes = { 'RELEASED' }, {}

local function give_back(row)
  if row.disposition == OWNER_BOUND and row.starter then
    make_uncertain(row)
  elseif row.cancel_request and cancel_settles(row) then
    finish(row, CANCELLED, '', next_fence(row))
  else
    queue_again(row)
    lanes[row.lane] = true
  end
end

for at = 2, #ARGV, 3 do
  local id, token, fence = unpack(ARGV, at, at + 2)
  local row = read_row(id)
  local open = row and not row.state
  local current = open and is_holder(row, me, token, fence)
  if current then
    give_back(row)
  end
  -- The holder returned and gives the work up, so its own lapse was no loss (rule 3.6).
  if open and row.lost_token == token and tonumber(row.losses or 0) > 0 then
    write_row(id, 'lo', int(tonumber(row.losses) - 1))
    clear_fields(id, 'lt')
  end
  reply[#reply + 1] = current and '1' or '0'
end
commit()
wake(lanes)
return reply
