--- @include "partition"
--- @include "row"
--- @include "plan"
-- Take a row out of the place in which it was read. Whoever calls this puts it into another one, or ends it: a
-- non-terminal row stands in exactly one place (rule 8.7).
local function leave_place(row)
  if row.place == QUEUED then
    index_remove(lane_set(row.lane), row.id)
  elseif row.place == LEASED then
    index_remove(K .. 'leases', row.id)
    drop(lease_key(row.id))
    if not has_begun(row) then
      index_remove(K .. 'held', row.id)
    end
  elseif row.place == UNCERTAIN then
    index_remove(K .. 'uncertain', row.id)
  elseif row.place == OUTSIDE then
    index_remove(K .. 'outside', row.id)
  end
end
