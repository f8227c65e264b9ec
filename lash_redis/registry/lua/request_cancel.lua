-- request_cancel: record a wish that the work stop; what nobody holds and nobody started is cancelled at once.
-- needs:  nothing held            twice: the first request stands
-- flags   allow-oom
-- line    calls
-- KEYS 1  partition prefix
-- ARGV 1  id   ARGV 2 request
-- reply   DONE row · UNKNOWN · TERMINAL state
-- bound   1 row
--- @include "places"
--- @include "replies"
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
  write_row(id, 'cr', request)
  if is_live(row) then
    publish(row.holder, 'request ' .. id)
  elseif cancel_settles(row) then
    finish(row, 'k', '', next_fence(row))
  end
  commit()
end
return { 'DONE', row_reply(id) }
