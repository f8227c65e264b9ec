--- @include "partition"
--- @include "planned_writes"
--- @include "store_payload"
-- Keep the failure of the run that is tried again; a long one stands beside the row.
local function store_failure(row, failure)
  local held = store_payload('f:', row.id, failure)
  if held ~= '' and row.last_failure == '' then
    drop(K .. 'f:' .. row.id)
  end
  write_row(row.id, 'lf', held)
end
