--- @include "waiting/row_or_tombstone"
--- @include "waiting/tell_dependents"
--- @include "ending/finish"
-- What the alarm `tell` does: more of those that wait for a process that has ended are told.
local function tell_again(id)
  local row = row_or_tombstone(id)
  if row and row.state then
    tell_dependents(row, row.state, finish)
  end
end
