-- start: record that user code begins under this lease; only this answer lets it run.
-- needs:  the live lease          twice: the token that started it is answered again, whatever came since
-- flags   none
-- connections control
-- KEYS 1  partition header
-- ARGV 1  id   ARGV 2 owner digest   ARGV 3 token   ARGV 4 fence
-- reply   DONE row · STARTED_BY owner · LOST · UNKNOWN · TERMINAL state · AUTHORITY
-- bound   1 row
--- @include "row"
--- @include "planned_writes"
--- @include "row_reply"
--- @include "is_holder"
--- @include "starter_reply"
--- @include "mark_started"
local id, me, token, fence = unpack(ARGV)

local row = read_row(id)
if not row then
  return { 'UNKNOWN' }
end
if (row.start_token == token and row.starter == me) or row.attempt_token == token then
  return { 'DONE', row_reply(id) }
end
if row.state then
  return { 'TERMINAL', row.state }
end
if row.disposition == EXTERNALLY_OWNED then
  return { 'AUTHORITY' }
end
if not (is_holder(row, me, token, fence) and is_live(row)) then
  return { 'LOST' }
end
if row.disposition == OWNER_BOUND and row.starter then
  return starter_reply(row)
end
mark_started(row)
commit()
return { 'DONE', row_reply(id) }
