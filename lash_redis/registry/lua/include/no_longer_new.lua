--- @include "partition"
--- @include "planned_writes"
-- A row is claimed for the first time, or ends: it no longer counts against the bound of its queue.
local function no_longer_new(row)
  if row.new then
    row.new = false
    index_remove(K .. 'new:' .. queue_of(row.lane), row.id)
    clear_fields(row.id, 'nw')
  end
end
