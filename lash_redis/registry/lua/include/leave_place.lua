--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "place_index"
--- @include "stop_waiting"
-- Take a row out of the place in which it was read. Whoever calls this puts it into another one, or ends it: a
-- non-terminal row stands in exactly one place (rule 8.7).
local function leave_place(row)
  index_remove(place_index(row, row.place), row.id)
  if row.place == LEASED then
    drop(lease_key(row.id))
    if not has_begun(row) then
      index_remove(K .. UNBEGUN_INDEX, row.id)
    end
  elseif row.place == BLOCKED then
    stop_waiting(row)
  end
end
