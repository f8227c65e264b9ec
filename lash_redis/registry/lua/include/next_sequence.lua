--- @include "partition"
--- @include "planned_writes"
-- The number of a row that enters its lane for the first time. It keeps that number for ever.
local last_sequence
local function next_sequence()
  last_sequence = (last_sequence or tonumber(header[7] or '0')) + 1
  local text = string.format('%.0f', last_sequence)
  set_header('sequence', text)
  return text
end
