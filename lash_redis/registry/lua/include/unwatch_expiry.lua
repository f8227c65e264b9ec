--- @include "partition"
--- @include "planned_writes"
-- The row starts now, or has ended: it cannot expire any more.
local function unwatch_expiry(row)
  if row.expiry and not row.starter then
    index_remove(K .. 'alarms', 'expire ' .. row.id)
  end
end
