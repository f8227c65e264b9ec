-- get: read whole rows.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1.. ids
-- reply   ROWS (row or '') x ids, or x the first of them
-- bound   rows <= 500, 1 MiB (a longer row goes alone)
--- @include "rows_reply"
return rows_reply(ARGV)
