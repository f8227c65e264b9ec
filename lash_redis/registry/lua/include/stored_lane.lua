--- @include "partition"
-- What a row's field says of its lane, in full. The field has the lane's number in this partition, or the lane itself
-- where so many have numbers already that it got none (see lane_number); of a keyed lane `|key` follows. A number that
-- nobody knows is no lane, and stays as it is.
local lanes_by_number = {}
local function stored_lane(field)
  local number, key = string.match(field, '^(%d+)(.*)$')
  if not number then
    return field
  end
  local lane = lanes_by_number[number]
  if lane == nil then
    lane = redis.call('HGET', K .. 'names', number)
    lanes_by_number[number] = lane
  end
  return lane and lane .. key or field
end
