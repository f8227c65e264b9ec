--- @include "partition"
--- @include "row"
-- The reply that is the partition's header, or nil if there is none. A partition whose header was lost has other keys:
-- it is answered as the mismatch that it is.
local function header_reply()
  local header = redis.call('HMGET', K .. 'hdr', 'uuid', 'partitions', 'schema', 'whole')
  if header[1] then
    return { 'OPEN', header[1], header[2], header[3], header[4] or '' }
  end
  for _, name in ipairs({ 'lanes', INDEX[LEASED], INDEX[UNCERTAIN], INDEX[OUTSIDE], 'done', 'owners' }) do
    if redis.call('EXISTS', K .. name) == 1 then
      return { 'MISMATCH' }
    end
  end
end
