--- @include "row"
-- Whether a cancel request ends this row once nobody holds it: recovery could run the work again (rule 1.7).
local function cancel_settles(row)
  return row.disposition == RERUNNABLE or (row.disposition == OWNER_BOUND and not row.starter)
end
