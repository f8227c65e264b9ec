-- bring_due: move delayed rows that have become due into their lanes, and do what alarms ask for.
-- needs:  nothing                 twice: nothing is due any more
-- flags   allow-oom
-- connections control
-- KEYS 1  partition header
-- ARGV 1  how much at most
-- reply   BROUGHT wait {notes}
--         wait: ms until the next becomes due, or ''; notes: 'tick ..' (a schedule is due, see read_schedule)
-- bound   rows <= 500, and as many alarms
--- @include "partition"
--- @include "planned_writes"
--- @include "bring_due"
if bring_due(tonumber(ARGV[1])) then
  commit()
end
return { 'BROUGHT', header[2] and int(math.max(tonumber(header[2]) - now, 0)) or '', notes }
