--- @include "planned_writes"
-- The lease under which the row was started first is about to go: its owner and its token get fields of their own.
local function keep_start(row)
  if row.is_first_lease then
    row.is_first_lease = false
    write_row(row.id, 'fs', row.starter, 'ft', row.start_token)
  end
end
