-- waits: say what a queued row of a keyed lane waits for.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  id
-- reply   WAITING detail: as a claim that is refused for it says it, '' if it waits for nothing
-- bound   1 row
--- @include "row"
--- @include "is_readable"
--- @include "waits_for_key"
local row = read_row(ARGV[1])
local is_queued = row and row.place == QUEUED and is_readable(row)
return { 'WAITING', is_queued and waits_for_key(row) or '' }
