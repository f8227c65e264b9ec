--- @include "partition"
-- Tell one idle worker of the lane's queue, not all; one that has gone is passed over (design, section 6).
local function wake(lane)
  local idle = K .. 'idle:' .. string.match(lane, '^[^|]*')
  for _ = 1, 16 do
    local worker = redis.call('ZPOPMIN', idle)[1]
    if not worker or redis.call('PUBLISH', K .. 'to:' .. worker, 'lane ' .. lane) > 0 then
      return
    end
  end
end
