--- @include "planned_writes"
-- Count rows that ended in this state, by the task that the lane names.
local function count_ended(row, state, by)
  local task = string.match(row.lane or '', '^[^|]*|([^|]*)|') or ''
  count(task .. '|' .. state, by)
end
