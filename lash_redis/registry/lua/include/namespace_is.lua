--- @include "partition"
-- Whether this partition still belongs to the namespace that the caller opened. After a flush, or with an old backup,
-- the rows are not the ones that the caller knew (rule 8.2).
local function namespace_is(uuid)
  return redis.call('HGET', K .. 'hdr', 'uuid') == uuid
end
