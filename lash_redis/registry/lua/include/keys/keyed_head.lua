--- @include "partition"
--- @include "keys/planned_keys"
-- The score of the row that a keyed lane would hand out next, by which lanes of one queue are ordered. A lane of which
-- no key may run comes last.
local function keyed_head(lane)
  local key = redis.call('ZRANGE', K .. 'turn:' .. lane, '0', '0')[1]
  if not key then
    return math.huge
  end
  local _, score = head_of(key_in(lane, key))
  return score or math.huge
end
