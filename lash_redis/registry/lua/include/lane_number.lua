--- @include "partition"
--- @include "planned_writes"
--- @include "lane_names"
-- What the row of a lane says of it: the lane's number, since the name is long and many rows have the same. It is given
-- to the lane's first row and stays for ever, so that a row can be read as long as it is kept. So that a program which
-- invents queues does not fill the server, only so many lanes have one. Any other stands there itself, behind a sign
-- that no queue has: a queue may be called like a number. `field` is a lane with its key.
local MOST_NUMBERED = 4096
local numbers_by_lane = {}
local highest
local function lane_number(field)
  local lane, key = split_key(field)
  local number = numbers_by_lane[lane]
  if number == nil then
    number = redis.call('HGET', K .. 'names', lane)
    if not number then
      highest = highest or tonumber(redis.call('HGET', K .. 'names', 'last') or '0')
      if highest < MOST_NUMBERED then
        highest = highest + 1
        number = int(highest)
        write_hash('names', lane, number, number, lane, 'last', number)
      end
    end
    numbers_by_lane[lane] = number
  end
  if not number then
    return '=' .. field
  end
  return key and number .. '|' .. key or number
end
