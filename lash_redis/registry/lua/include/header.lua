--- @include "partition"
-- Whether this partition still belongs to the namespace that the caller opened: a flush, an old backup or
-- another deployment's namespace must stop it (design, section 6, "Partitions").
local function namespace_is(uuid)
  return redis.call('HGET', K .. 'hdr', 'uuid') == uuid
end
