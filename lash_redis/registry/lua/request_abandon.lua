-- request_abandon: record an operator's permission to accept uncertainty; a sweep acts on it, never this script.
-- needs:  started owner-bound or externally owned work   twice: the first request stands
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  id   ARGV 2 request
-- reply   DONE row · NOTHING · UNKNOWN · TERMINAL state
-- bound   1 row
--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "row_reply"
--- @include "cancel_settles"
--- @include "tell_holder"
local id, request = ARGV[1], ARGV[2]

local row = read_row(id)
if not row then
  return { 'UNKNOWN' }
end
if row.abandon_request == request then
  return { 'DONE', row_reply(id) }
end
if row.state then
  return { 'TERMINAL', row.state }
end
if cancel_settles(row) then
  return { 'NOTHING' }
end
if not row.abandon_request then
  index_add(K .. 'asked', now_text, id)
  write_row(id, 'ar', request)
  tell_holder(row)
  commit()
end
return { 'DONE', row_reply(id) }
