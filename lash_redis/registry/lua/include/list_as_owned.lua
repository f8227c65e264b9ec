--- @include "partition"
--- @include "row"
--- @include "planned_writes"
-- List a row in its owner's index. No two rows there have the same score, so that a page can end between any two: a
-- batch claim gives its rows scores of its own, and other rows stand before them, by their sequence.
local function list_as_owned(me, row, score)
  index_add(owned_set(me), score or '-' .. int(number_in(row.sequence)), row.id)
end
