--- @include "has_expired"
-- The refusal of a row that may not run, or not yet, with its place: that it has expired (its alarm is about to end
-- it), when a delayed one becomes due, or what the key of a queued one waits for.
local function waits_reply(row, waits_for)
  return { 'WAITS', row.place, has_expired(row) and 'expired' or waits_for or row.due or '' }
end
