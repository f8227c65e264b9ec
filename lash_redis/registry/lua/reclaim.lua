-- reclaim: take a live lease from the observed holder that is proven dead; on a free or lapsed row it is a claim.
-- needs:  the holder as observed  twice: the same owner finds its own live lease and extends it
-- flags   allow-oom
-- connections claim
-- KEYS 1  partition header
-- ARGV 1  id   ARGV 2 owner digest   ARGV 3 owner   ARGV 4 token   ARGV 5 ttl, ms
-- ARGV 6  losses at which a claim is refused, unless the row names its own limit
-- ARGV 7  observed owner digest   ARGV 8 observed owner   ARGV 9 observed token   ARGV 10 observed fence
-- ARGV 11 '1' if the caller proved the observed owner dead ('0': only a recorded death counts)
-- reply   ACQUIRED lease · BUSY lease · STARTED_BY owner · UNKNOWN · TERMINAL state · AUTHORITY · UNREADABLE
--         · WAITS place due
-- bound   1 row
--- @include "partition"
--- @include "row"
--- @include "claim_unless_held"
--- @include "is_holder"
--- @include "owner_named"
--- @include "grant"
--- @include "holder_reply"
local claimant = {
  digest = ARGV[2], owner = ARGV[3], token = ARGV[4], ttl = tonumber(ARGV[5]), loss_limit = ARGV[6],
}
local seen_digest, seen_owner, seen_token, seen_fence, proven = unpack(ARGV, 7, 11)

local row = read_row(ARGV[1])
local reply = claim_unless_held(row, claimant)
if reply then
  return reply
end
local as_observed = is_holder(row, seen_digest, seen_token, seen_fence) and owner_named(row.holder) == seen_owner
local dead = proven == '1' or redis.call('HEXISTS', K .. 'dead', row.holder) == 1
if as_observed and dead then
  return grant(row, claimant)
end
return holder_reply('BUSY', row)
