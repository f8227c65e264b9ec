--- @include "partition"
--- @include "row"
-- A fence that is higher than every earlier one, even after a failover has lost the last ones (rule 3.2).
local function next_fence(row)
  return int(math.max(number_in(row.fence) + 1, now))
end
