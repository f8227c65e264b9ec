--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "lane_of"
--- @include "move_to"
-- Put a row back into its lane, where its sequence says, and wake one idle worker.
local function queue_again(row)
  move_to(row, QUEUED, int(number_in(row.sequence)))
  wake(lane_of(row))
end
