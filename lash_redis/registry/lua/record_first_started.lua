-- record_first_started: record, without a lease, that a host elsewhere began the work.
-- needs:  no live lease of another   twice: a second writer gets the record as it stands
-- flags   none
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  id   ARGV 2 owner digest   ARGV 3 owner   ARGV 4 started at, ms
-- reply   DONE row · HELD lease · UNKNOWN · TERMINAL state · AUTHORITY
-- bound   1 row
--- @include "row"
--- @include "planned_writes"
--- @include "row_reply"
--- @include "holder_reply"
--- @include "mark_started"
--- @include "make_uncertain"
--- @include "next_sequence"
--- @include "list_as_owned"
--- @include "remember_owner"
--- @include "unwatch_expiry"
local id, me, owner, started = unpack(ARGV)

local row = read_row(id)
if not row then
  return { 'UNKNOWN' }
end
local live, own = is_live(row), row.starter == me
-- The call's own effect, whatever came since. It is not known by its time, which may be the server's.
if own and (row.state or (live and row.holder ~= me)) then
  return { 'DONE', row_reply(id) }
end
if row.state then
  return { 'TERMINAL', row.state }
end
if row.disposition == EXTERNALLY_OWNED then
  return { 'AUTHORITY' }
end
if live and row.holder ~= me then
  return holder_reply('HELD', row)
end
if live and not has_begun(row) and not (row.disposition == OWNER_BOUND and row.starter) then
  -- Under a live lease of this very owner the record is a start under that lease.
  mark_started(row)
elseif not row.starter then
  unwatch_expiry(row)
  row.starter = me
  -- Rerunnable work gets its number when it enters its lane, as all others do.
  if row.disposition == OWNER_BOUND then
    if not row.sequence then
      row.sequence = next_sequence()
      write_row(id, 'sq', row.sequence)
    end
    make_uncertain(row)
    list_as_owned(me, row)
  end
  write_row(id, 'fs', me, 'fa', started, 'ft', '')
  remember_owner(me, owner)
end
commit()
return { 'DONE', row_reply(id) }
