--- @include "row"
--- @include "plan"
--- @include "move_to"
-- Put a row back into its lane, where its sequence says.
local function queue_again(row)
  move_to(row, QUEUED, lane_set(row.lane), row.sequence)
end
