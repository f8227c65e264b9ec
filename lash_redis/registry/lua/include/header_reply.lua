--- @include "partition"
--- @include "row"
-- The reply that is the partition's header, or nil if there is none. A partition whose header was lost has other keys:
-- it is answered as the mismatch that it is.
local function header_reply()
  local stands = redis.call('HMGET', K .. 'hdr', 'uuid', 'partitions', 'schema', 'whole')
  if stands[1] then
    return { 'OPEN', stands[1], stands[2], stands[3], stands[4] or '' }
  end
  for _, key in ipairs({ K .. 'lanes', K .. INDEX[DELAYED], K .. INDEX[BLOCKED], K .. INDEX[LEASED],
    K .. INDEX[UNCERTAIN], K .. INDEX[OUTSIDE], K .. 'owners', K .. 'counts' }) do
    if redis.call('EXISTS', key) == 1 then
      return { 'MISMATCH' }
    end
  end
end
