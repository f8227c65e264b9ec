--- @include "waiting/row_or_tombstone"
-- A row that others of this call may wait for, or that ends in it: all see the same one, as the call leaves it. Of one
-- that was forgotten it is what is known; `fresh_row` is new in this call.
local rows_in_call = {}
local function row_in_call(id, fresh_row)
  rows_in_call[id] = rows_in_call[id] or fresh_row or row_or_tombstone(id)
  return rows_in_call[id]
end
