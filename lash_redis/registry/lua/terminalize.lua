-- terminalize: write the terminal facts of work that this owner ran, each under its lease.
-- needs:  the live leases         twice: the same fact is answered as done
-- flags   allow-oom
-- connections control
-- KEYS 1  partition header
-- ARGV 1  owner digest   ARGV 2 '1' to answer the row   ARGV 3.. (id, token, fence, state, outcome) x rows
-- reply   TERMINALIZED (DONE · UNKNOWN · TERMINAL · AUTHORITY · LOST) x rows, then the row of the only one if asked
-- bound   rows <= 500
--- @include "planned_writes"
--- @include "end_rows"
--- @include "row_reply"
local reply = { 'TERMINALIZED' }
end_rows(reply, ARGV[1], 3, #ARGV)
commit()
if ARGV[2] == '1' then
  reply[#reply + 1] = row_reply(ARGV[3])
end
return reply
