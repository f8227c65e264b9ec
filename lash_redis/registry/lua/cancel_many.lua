-- cancel_many: record one cancel request on many processes; what nobody holds and nobody started is cancelled at once.
-- needs:  nothing                 twice: the first request stands
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  request   ARGV 2.. ids
-- reply   ASKED (asked, cancelled, or gone: it has ended, or has another request) x ids
-- bound   rows <= 500
--- @include "row"
--- @include "planned_writes"
--- @include "ask_cancel"
local request = ARGV[1]

local function cancel(row)
  if not row or (row.cancel_request and row.cancel_request ~= request) then
    return 'gone'
  elseif row.state then
    return row.cancel_request and row.state == CANCELLED and 'cancelled' or 'gone'
  elseif row.cancel_request then
    return 'asked'
  end
  return ask_cancel(row, request) and 'cancelled' or 'asked'
end

local reply = { 'ASKED' }
for at = 2, #ARGV do
  reply[#reply + 1] = cancel(read_row(ARGV[at]))
end
commit()
return reply
