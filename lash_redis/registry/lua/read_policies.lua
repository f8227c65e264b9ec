-- read_policies: read the policies of keyed lanes, and how many keys of them may run or wait.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  how many at most
-- reply   POLICIES (scope, policy, slots that are taken if all keys share them, rows, keys in rotation, parked keys)
--         x policies
-- bound   policies <= 500, the first 100 lanes of each: about 3 ms for 100 of them with a lane each
--- @include "partition"
--- @include "planned_keys"
local reply = { 'POLICIES' }

local function size_of(prefix, lane)
  return redis.call('ZCARD', K .. prefix .. lane)
end

local found = redis.call('HGETALL', K .. 'policies')
for at = 1, math.min(#found, 2 * tonumber(ARGV[1])), 2 do
  local scope, rows, turns, parked = found[at], 0, 0, 0
  for _, lane in ipairs(lanes_of(scope, '')) do
    rows, turns, parked = rows + size_of('q:', lane), turns + size_of('turn:', lane), parked + size_of('parked:', lane)
  end
  for _, each in ipairs({ scope, found[at + 1], int(slots_of(scope, '').taken), int(rows), int(turns), int(parked) }) do
    reply[#reply + 1] = each
  end
end
return reply
