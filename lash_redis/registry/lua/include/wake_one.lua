--- @include "partition"
-- Tell one idle worker of a queue, and return it. One that nobody hears is passed over (rule 9.4).
local function wake_one(queue, message)
  for _ = 1, 16 do
    local worker = redis.call('ZPOPMIN', K .. 'idle:' .. queue)[1]
    if not worker or redis.call('PUBLISH', K .. 'to:' .. worker, message) > 0 then
      return worker
    end
  end
end
