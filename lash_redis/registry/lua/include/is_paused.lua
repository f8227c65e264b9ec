--- @include "partition"
-- Whether nothing of a lane may begin, since its queue or its task is paused. The header has the names of all that are:
-- 'q:' and a queue, or 't:' and a task, separated by spaces.
local function is_paused(lane)
  if not header[4] then
    return false
  end
  local names, queue, task = ' ' .. header[4] .. ' ', string.match(lane, '^([^|]*)|([^|]*)|')
  return queue and (string.find(names, ' q:' .. queue .. ' ', 1, true)
    or string.find(names, ' t:' .. task .. ' ', 1, true)) and true or false
end
