--- @include "take_lease"
--- @include "mark_started"
-- Plan the lease and the start of a row that a batch claim hands out.
local function start_row(row, me, token, expires, score)
  take_lease(row, me, token, expires, score, true)
  mark_started(row)
end
