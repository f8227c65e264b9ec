--- @include "partition"
-- The key of the index that lists the rows which ended in a state, by when; abandoned ones once they are resolved.
local function ended_index(state)
  return K .. 'done:' .. state
end
