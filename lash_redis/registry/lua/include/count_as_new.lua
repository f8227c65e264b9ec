--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "never_claimed_in"
-- Count a row that is being registered among those of its bounded queue that nobody has claimed. What waits for other
-- processes is not counted: it continues work that was let in.
local function count_as_new(row, place)
  local queue = header[5] and queue_of(row.lane)
  if queue and place ~= BLOCKED and place ~= OUTSIDE and never_claimed_in(queue, 1) then
    index_add(K .. 'new:' .. queue, now_text, row.id)
    write_row(row.id, 'nw', '1')
  end
end
