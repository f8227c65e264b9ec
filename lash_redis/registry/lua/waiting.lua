-- waiting: name a row that waits and that a worker with a list of lanes would run, and say how many are delayed.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  name of the list of lanes   ARGV 2.. keyed lanes of the list, without their twins
-- reply   WAITING id delayed
--         id: of a row that is queued in a lane that is not paused, those of parked keys included; '' if there is none
-- bound   the lanes of the list, keyed lanes <= 500, each with its twin
--- @include "partition"
--- @include "row"
--- @include "is_paused"
--- @include "lane_names"
--- @include "keys/planned_keys"
local filled = redis.call('ZINTER', '2', K .. 'lanes', K .. 'serves:' .. ARGV[1])

-- The first of a sorted set; nil if it is empty.
local function lowest_in(name)
  return redis.call('ZRANGE', K .. name, '0', '0')[1]
end

-- The first row of a key of a keyed lane.
local function first_row(lane, key)
  return key and string.match(head_of(key_in(lane, key)) or '', '^%S+')
end

local function waiting_row()
  for _, lane in ipairs(filled) do
    if not is_paused(lane) then
      -- A lane that is listed has a row. Its name stands for one that was taken out from outside.
      local first = scopes_of(lane) and first_row(lane, lowest_in('turn:' .. lane)) or lowest_in('q:' .. lane)
      return first or lane
    end
  end
  for at = 2, #ARGV do
    for _, lane in ipairs({ ARGV[at], alone_twin(ARGV[at]) }) do
      local key = not is_paused(lane) and lowest_in('parked:' .. lane)
      if key then
        return first_row(lane, key) or lane
      end
    end
  end
  return ''
end

return { 'WAITING', waiting_row(), int(redis.call('ZCARD', K .. INDEX[DELAYED])) }
