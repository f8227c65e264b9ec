-- Whether a row continues a group: its field says by which rule it waits, and a second letter that it is a group's.
local function is_group(row)
  return string.sub(row.awaits or '', 2, 2) == 'g'
end
