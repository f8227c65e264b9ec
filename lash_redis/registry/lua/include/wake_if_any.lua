--- @include "partition"
--- @include "planned_writes"
--- @include "is_paused"
-- Wake one idle worker for a lane, and return whether there is one: that is read now, once for each queue.
local idle_by_queue = {}
local function wake_if_any(lane)
  local queue = queue_of(lane)
  idle_by_queue[queue] = idle_by_queue[queue] or redis.call('ZCARD', K .. 'idle:' .. queue)
  if idle_by_queue[queue] == 0 or is_paused(lane) then
    return false
  end
  wake(lane)
  return true
end
