-- The refusal of a row that may not run yet, with its place and, of a delayed one, when it becomes due, of a queued one
-- what its key waits for.
local function waits_reply(row, waits_for)
  return { 'WAITS', row.place, waits_for or row.due or '' }
end
