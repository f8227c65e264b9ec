-- claim: give one owner the single-writer lease of one process, if it is free or lapsed.
-- needs:  no live lease of another   twice: the same owner finds its own live lease and extends it
-- flags   allow-oom
-- connections claim
-- KEYS 1  partition header
-- ARGV 1  id   ARGV 2 owner digest   ARGV 3 owner   ARGV 4 token   ARGV 5 ttl, ms
-- ARGV 6  losses at which a claim is refused, unless the row names its own limit
-- reply   ACQUIRED lease · BUSY lease · STARTED_BY owner · UNKNOWN · TERMINAL state · AUTHORITY · UNREADABLE
--         · WAITS place due
-- bound   1 row
--- @include "row"
--- @include "claim_unless_held"
--- @include "holder_reply"
local claimant = {
  digest = ARGV[2], owner = ARGV[3], token = ARGV[4], ttl = tonumber(ARGV[5]), loss_limit = ARGV[6],
}

local row = read_row(ARGV[1])
return claim_unless_held(row, claimant) or holder_reply('BUSY', row)
