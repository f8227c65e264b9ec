-- The refusal of a row that may not run yet, with its place and, of a delayed one, when it becomes due.
local function waits_reply(row)
  return { 'WAITS', row.place, row.due or '' }
end
