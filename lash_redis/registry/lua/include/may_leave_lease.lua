--- @include "row"
--- @include "is_holder"
-- Whether the row names this very lease as its last one, and can leave it: a row without its place or its lane is
-- damaged, and is left as it is (rule 8.15).
local function may_leave_lease(row, me, token, fence)
  return is_holder(row, me, token, fence) and row.place == LEASED and row.lane
end
