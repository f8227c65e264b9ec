--- @include "planned_writes"
--- @include "leave_place"
--- @include "disown_holder"
--- @include "keep_start"
--- @include "place_index"
--- @include "change_key"
-- Move a row to a place without a lease, and clear the lease that it had.
local function move_to(row, place, score)
  leave_place(row)
  disown_holder(row)
  change_key(row, row.place, place, score)
  index_add(place_index(row, place), score, row.id)
  write_row(row.id, 'ph', place)
  if row.token then
    keep_start(row)
    clear_fields(row.id, 'ho', 'tk', 'ex', 'ca')
  end
end
