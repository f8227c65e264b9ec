--- @include "partition"
--- @include "keys/planned_keys"
--- @include "lane_names"
-- The score of the row that a lane would hand out next, by which lanes of one queue are ordered. A keyed lane of which
-- no key may run comes last.
local function head_score(lane)
  if not scopes_of(lane) then
    return tonumber(redis.call('ZRANGE', K .. 'q:' .. lane, '0', '0', 'WITHSCORES')[2] or 0)
  end
  local key = redis.call('ZRANGE', K .. 'turn:' .. lane, '0', '0')[1]
  if not key then
    return math.huge
  end
  local _, score = head_of(key_in(lane, key))
  return score or math.huge
end
