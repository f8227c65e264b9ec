-- holder: read one owner, if it holds something or started owner-bound work that is not settled.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  digest
-- reply   OWNERS (digest, owner, death or '') x found
-- bound   1 owner
--- @include "partition"
--- @include "owner_named"
local digest = ARGV[1]

if redis.call('ZCARD', K .. 'of:' .. digest) == 0 then
  return { 'OWNERS' }
end
return { 'OWNERS', digest, owner_named(digest), redis.call('HGET', K .. 'dead', digest) or '' }
