--- @include "partition"
-- The owner that a row names by its digest; '' if the row names none, or its owner was forgotten.
local function owner_named(digest)
  return digest and redis.call('HGET', K .. 'owners', digest) or ''
end
