--- @include "partition"
--- @include "planned_writes"
--- @include "store_payload"
-- Keep the failure of the run that is tried again; a long one stands beside the row.
local function store_failure(row, failure)
  local key = K .. 'f:' .. row.id
  local held = store_payload(key, failure)
  if held ~= '' and row.last_failure == '' then
    drop(key)
  end
  write_row(row.id, 'lf', held)
end
