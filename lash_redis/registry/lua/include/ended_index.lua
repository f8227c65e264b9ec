--- @include "partition"
-- The key of the index that lists the ended rows of one kind, by when; of abandoned ones those with a resolution.
local function ended_index(kind)
  return K .. 'done:' .. kind
end
