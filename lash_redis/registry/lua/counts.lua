-- counts: count the rows of each place, the terminal facts by task and state, and the schedules.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  lane after which the page of lanes begins ('' at first)   ARGV 2 limit
-- reply   COUNTS delayed blocked leased held uncertain outside asked unresolved schedules
--         (task|state, number, ..) (lane, number, ..)
-- bound   lanes <= 500
--- @include "partition"
--- @include "row"
--- @include "page_of_names"
local after, limit = ARGV[1], ARGV[2]

local lanes = {}
for _, lane in ipairs(page_of_names(K .. 'lanes', after, limit)) do
  lanes[#lanes + 1] = lane
  lanes[#lanes + 1] = int(redis.call('ZCARD', K .. 'q:' .. lane))
end
local reply = { 'COUNTS' }
local indexes = {
  INDEX[DELAYED], INDEX[BLOCKED], INDEX[LEASED], UNBEGUN_INDEX, INDEX[UNCERTAIN], INDEX[OUTSIDE], 'asked',
}
for _, index in ipairs(indexes) do
  reply[#reply + 1] = int(redis.call('ZCARD', K .. index))
end
reply[#reply + 1] = int(redis.call('ZCARD', K .. UNRESOLVED_INDEX))
reply[#reply + 1] = int(redis.call('ZCARD', K .. 'schedules'))
reply[#reply + 1] = redis.call('HGETALL', K .. 'counts')
reply[#reply + 1] = lanes
return reply
