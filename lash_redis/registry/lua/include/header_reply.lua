--- @include "partition"
--- @include "row"
--- @include "ended_index"
-- The reply that is the partition's header, or nil if there is none. A partition whose header was lost has other keys:
-- it is answered as the mismatch that it is.
local function header_reply()
  local header = redis.call('HMGET', K .. 'hdr', 'uuid', 'partitions', 'schema', 'whole')
  if header[1] then
    return { 'OPEN', header[1], header[2], header[3], header[4] or '' }
  end
  for _, key in ipairs({ K .. 'lanes', K .. INDEX[LEASED], K .. INDEX[UNCERTAIN], K .. INDEX[OUTSIDE], K .. 'owners',
    ended_index(COMPLETED), ended_index(FAILED), ended_index(CANCELLED), ended_index(ABANDONED) }) do
    if redis.call('EXISTS', key) == 1 then
      return { 'MISMATCH' }
    end
  end
end
