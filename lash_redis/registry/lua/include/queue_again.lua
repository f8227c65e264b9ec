--- @include "row"
--- @include "move_to"
-- Put a row back into its lane, where its sequence says.
local function queue_again(row)
  move_to(row, QUEUED, row.sequence)
end
