--- @include "partition"
-- For each of these lanes tell one idle worker of its queue. A worker that nobody hears is passed over (rule 9.4).
local function wake_one(lane)
  local idle = K .. 'idle:' .. string.match(lane, '^[^|]*')
  for _ = 1, 16 do
    local worker = redis.call('ZPOPMIN', idle)[1]
    if not worker or redis.call('PUBLISH', K .. 'to:' .. worker, 'lane ' .. lane) > 0 then
      return
    end
  end
end

local function wake(lanes)
  for lane in pairs(lanes) do
    wake_one(lane)
  end
end
