-- holders: read one page of the owners that hold something or started owner-bound work that is not settled.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  digest after which the page begins ('' at first)   ARGV 2 limit
-- reply   OWNERS (digest, owner, death or '') x found
-- bound   owners <= 500
--- @include "partition"
--- @include "page_of_names"
--- @include "owner_named"
local after, limit = ARGV[1], ARGV[2]

local reply = { 'OWNERS' }
for _, digest in ipairs(page_of_names(K .. 'holders', after, limit)) do
  reply[#reply + 1] = digest
  reply[#reply + 1] = owner_named(digest)
  reply[#reply + 1] = redis.call('HGET', K .. 'dead', digest) or ''
end
return reply
