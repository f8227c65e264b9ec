-- request_cancel: record a wish that the work stop; what nobody holds and nobody started is cancelled at once.
-- needs:  nothing                 twice: the first request stands
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  id   ARGV 2 request
-- reply   DONE row · UNKNOWN · TERMINAL state
-- bound   1 row
--- @include "row"
--- @include "planned_writes"
--- @include "row_reply"
--- @include "ask_cancel"
local id, request = ARGV[1], ARGV[2]

local row = read_row(id)
if not row then
  return { 'UNKNOWN' }
end
if row.cancel_request == request then
  return { 'DONE', row_reply(id) }
end
if row.state then
  return { 'TERMINAL', row.state }
end
if not row.cancel_request then
  ask_cancel(row, request)
  commit()
end
return { 'DONE', row_reply(id) }
