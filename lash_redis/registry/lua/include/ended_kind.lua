-- By what ended rows are listed and counted: `task|state`.
local ended_tasks = {}
local function ended_kind(row, state)
  local lane = row.lane or ''
  local task = ended_tasks[lane]
  if not task then
    task = string.match(lane, '^[^|]*|([^|]*)|') or ''
    ended_tasks[lane] = task
  end
  return task .. '|' .. state
end
