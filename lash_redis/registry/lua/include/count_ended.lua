--- @include "planned_writes"
--- @include "ended_kind"
-- Count rows that ended in this state, by the task that the lane names. What is counted is also what kinds there are.
local function count_ended(row, state, by)
  count(ended_kind(row, state), by)
end
