--- @include "partition"
--- @include "row"
-- A fence that is higher than every earlier one, even after a failover has lost the last ones (rule 3.2).
local function next_fence(row)
  local last = number_in(row.fence)
  return last < now and now_text or int(last + 1)
end
