-- claim: give one owner the single-writer lease of one process, if it is free or lapsed.
-- needs:  no live lease of another   twice: the same owner finds its own live lease and extends it
-- flags   allow-oom
-- connections claim
-- KEYS 1  partition header
-- ARGV 1  namespace uuid   ARGV 2 id   ARGV 3 owner digest   ARGV 4 owner   ARGV 5 token   ARGV 6 ttl, ms
-- ARGV 7  losses at which a claim is refused, unless the row names its own limit
-- reply   ACQUIRED lease · BUSY lease · STARTED_BY owner · UNKNOWN · TERMINAL state · AUTHORITY · UNREADABLE
--         · MISMATCH
-- bound   1 row
--- @include "row"
--- @include "claim_unless_held"
--- @include "holder_reply"
local claimant = {
  digest = ARGV[3], owner = ARGV[4], token = ARGV[5], ttl = tonumber(ARGV[6]), loss_limit = ARGV[7],
}

local row = read_row(ARGV[2])
return claim_unless_held(ARGV[1], row, claimant) or holder_reply('BUSY', row)
