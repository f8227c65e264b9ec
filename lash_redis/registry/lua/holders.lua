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
local after, limit = ARGV[1], ARGV[2]

local reply = { 'OWNERS' }
local digests = page_of_names(K .. 'holders', after, limit)
if #digests > 0 then
  local owners = redis.call('HMGET', K .. 'owners', unpack(digests))
  local deaths = redis.call('HMGET', K .. 'dead', unpack(digests))
  for at, digest in ipairs(digests) do
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3] = digest, owners[at] or '', deaths[at] or ''
  end
end
return reply
