--- @include "partition"
-- What a row's field says of its lane, in full. The field has the lane's number in this partition, or `=` and the lane
-- itself where so many have numbers already that it got none (see lane_number); of a keyed lane `|key` follows. A
-- number that nobody knows is no lane, and stays as it is. Many rows have the same.
local fields_in_full, lanes_by_number = {}, {}
local function stored_lane(field)
  local full = fields_in_full[field]
  if full then
    return full
  end
  local number, key = string.match(field, '^(%d+)(.*)$')
  local lane = number and lanes_by_number[number]
  if number and lane == nil then
    lane = redis.call('HGET', K .. 'names', number)
    lanes_by_number[number] = lane
  end
  full = lane and lane .. key or string.match(field, '^=(.*)$') or field
  fields_in_full[field] = full
  return full
end
