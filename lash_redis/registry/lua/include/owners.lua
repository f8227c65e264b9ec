--- @include "plan"
-- A row names an owner by its digest; the owner with its liveness stands once. Of the same owner with another
-- liveness the first stands (design, section 4).
local function remember_owner(digest, owner)
  if redis.call('HEXISTS', K .. 'owners', digest) == 0 then
    write_hash('owners', digest, owner)
  end
  index_add(K .. 'seen', int(now), digest)
end

local function owner_named(digest)
  return digest and redis.call('HGET', K .. 'owners', digest) or ''
end
