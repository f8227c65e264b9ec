--- @include "partition"
--- @include "planned_writes"
-- Rows name an owner by its digest; the owner with its liveness is stored once. The first liveness stands, so that no
-- later call changes what the owner's death is judged by. Before the owner stands the digest of the machine on which
-- its death can be proven, if there is one.
local function remember_owner(digest, owner)
  if redis.call('HEXISTS', K .. 'owners', digest) == 0 then
    local host = string.match(owner, '^(%S+) ')
    write_hash('owners', digest, owner)
    if host then
      index_add(K .. 'on:' .. host, '0', digest)
    end
  end
  index_add(K .. 'seen', now_text, digest)
end
