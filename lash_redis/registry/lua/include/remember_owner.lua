--- @include "partition"
--- @include "planned_writes"
-- Rows name an owner by its digest; the owner with its liveness is stored once. The first liveness stands, so that no
-- later call changes what the owner's death is judged by.
local function remember_owner(digest, owner)
  if redis.call('HEXISTS', K .. 'owners', digest) == 0 then
    write_hash('owners', digest, owner)
  end
  index_add(K .. 'seen', now_text, digest)
end
