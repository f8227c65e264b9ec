--- @include "partition"
-- The owner that a row names by its digest; '' if the row names none, or its owner was forgotten. Many rows of one
-- answer name the same one.
local owners_by_digest = {}
local function owner_named(digest)
  local owner = owners_by_digest[digest or ''] or digest and redis.call('HGET', K .. 'owners', digest) or ''
  if owner ~= '' then
    owners_by_digest[digest] = owner
  end
  return owner
end
