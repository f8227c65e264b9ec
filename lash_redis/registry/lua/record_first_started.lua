-- record_first_started: record, without a lease, that a host elsewhere began the work.
-- needs:  no live lease of another   twice: a second writer gets the record as it stands
-- flags   none
-- line    calls
-- KEYS 1  partition prefix
-- ARGV 1  id   ARGV 2 owner digest   ARGV 3 owner   ARGV 4 started at, ms
-- reply   DONE row · HELD lease · UNKNOWN · TERMINAL state · AUTHORITY
-- bound   1 row
--- @include "places"
--- @include "replies"
local id, me, owner, started = unpack(ARGV)

local row = read_row(id)
if not row then
  return { 'UNKNOWN' }
end
local live, own = is_live(row), row.starter == me
-- Its own effect, whatever came since; not known by its time, which may be the server's.
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
  -- Under a live lease of that very owner it is `start` under that lease.
  if row.starter then
    write_row(id, 'st', row.token)
  else
    write_row(id, 'fs', me, 'fa', int(now), 'ft', row.token)
  end
  index_remove(K .. 'held', id)
elseif not row.starter then
  row.starter = me
  if row.disposition == OWNER_BOUND then
    make_uncertain(row)
    list_as_owned(me, row)
  end
  write_row(id, 'fs', me, 'fa', started, 'ft', '')
  remember_owner(me, owner)
end
commit()
return { 'DONE', row_reply(id) }
