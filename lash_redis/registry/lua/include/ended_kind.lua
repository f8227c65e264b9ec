-- By what ended rows are listed and counted: `task|state`.
local function ended_kind(row, state)
  return (string.match(row.lane or '', '^[^|]*|([^|]*)|') or '') .. '|' .. state
end
