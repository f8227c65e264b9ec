-- turn: write the terminal facts of work that this owner ran, and then hand out the next rows, as the two scripts do.
-- needs:  the live leases, the namespace's header  twice: the facts are done, and the claim answers as claim_next does
-- flags   none
-- connections control
-- KEYS 1  partition header
-- ARGV 1  owner digest   ARGV 2 owner   ARGV 3 claim number   ARGV 4 count   ARGV 5 ttl, ms   ARGV 6 token stem
-- ARGV 7  alone   ARGV 8 bound   ARGV 9 takes   ARGV 10 remembers   ARGV 11 list (up to here as in claim_next)
-- ARGV 12 number of queues   ARGV 13.. queues, then (id, token, fence, state, outcome) x rows, one at least
-- reply   TURNED {what claim_next answers: CLAIMED .. · UNNAMED · STALE}
--         (DONE · UNKNOWN · TERMINAL · AUTHORITY · LOST) x rows
-- bound   rows <= 500, count <= 500, and what bounds a claim (see claim_next)
-- These are two transitions: the facts stand, and are answered, whatever the claim says.
--- @include "planned_writes"
--- @include "end_rows"
--- @include "claim_batch"
local named, reply = tonumber(ARGV[12]), { 'TURNED', false }
end_rows(reply, ARGV[1], 13 + named, #ARGV)
commit()
reply[2] = claim_batch({ unpack(ARGV, 1, 11) }, { unpack(ARGV, 13, 12 + named) })
return reply
