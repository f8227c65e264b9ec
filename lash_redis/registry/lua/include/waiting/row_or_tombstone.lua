--- @include "row"
--- @include "tombstone_of"
-- A row, or what is known of one that was forgotten: its fact. Retention forgets an abandoned one once it is resolved,
-- and how is not kept, so that it counts as not completed.
local ACCEPTED = 'a'
local function row_or_tombstone(id)
  local row = read_row(id)
  if row then
    return row
  end
  local _, state = tombstone_of(id)
  return state and { id = id, state = state, is_forgotten = true, resolution = ACCEPTED, dependents = '1' } or nil
end
