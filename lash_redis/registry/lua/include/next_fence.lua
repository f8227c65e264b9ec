--- @include "partition"
-- A fence that is higher than every earlier one, even after a failover has lost the last ones (rule 3.2).
local function next_fence(row)
  return int(math.max(tonumber(row.fence or 0) + 1, now))
end
