--- @include "partition"
--- @include "planned_writes"
-- Let a schedule be looked at now: the instants from now on count. One worker is told.
local function look_at_schedule(name, lane)
  write_hash('schedule:' .. name, 'fr', now_text, 'du', now_text)
  alarm_at(now, queue_of(lane), 'tick ' .. name)
end
