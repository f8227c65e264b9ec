--- @include "partition"
-- How many rows of a queue nobody has claimed yet, with those that are planned here, and how many may be; nil if the
-- queue is not bounded. The header has the bounded queues, 'queue=most', separated by spaces; `more` rows are planned.
local never_claimed = {}
local function never_claimed_in(queue, more)
  if not header[5] then
    return nil
  end
  local _, stop = string.find(' ' .. header[5], ' ' .. queue .. '=', 1, true)
  if not stop then
    return nil
  end
  never_claimed[queue] = (never_claimed[queue] or redis.call('ZCARD', K .. 'new:' .. queue)) + more
  return never_claimed[queue], tonumber(string.match(header[5], '^%d+', stop))
end
