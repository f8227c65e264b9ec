--- @include "partition"
-- The bound of what ended before a time, exclusive, as a command takes it. The time is ms, or so many ms before now.
local function ended_before(bound, is_age)
  return '(' .. (is_age == '1' and int(now - tonumber(bound)) or bound)
end
