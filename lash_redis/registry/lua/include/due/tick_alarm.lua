--- @include "partition"
--- @include "planned_writes"
--- @include "read_schedule"
-- How long the caller has who is told of a schedule that is due. Then another one is told.
local TICK_AGAIN_MS = 5000

-- The alarm of a schedule: the caller is told that it is due, since Lua knows no calendar (rule 12.1).
local function tick_alarm(name)
  local schedule = read_schedule(name)
  if not schedule then
    return nil
  elseif not schedule.note then
    return schedule.due
  end
  notes[#notes + 1] = schedule.note
  return now + TICK_AGAIN_MS
end
