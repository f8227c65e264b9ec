-- read_policies: page policies of keyed lanes, or read some by their names, and how many keys may run or wait.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  where the page begins ('0' at first)   ARGV 2 how many policies it has, about
-- ARGV 3.. scopes: of these alone, and of all of them
-- reply   POLICIES next (scope, policy, slots that are taken if all keys share them, rows, keys in rotation,
--         parked keys) x policies
--         next: where the next page begins, '0' after the last; a policy may stand on two pages
-- bound   scopes <= 500, a page of 50 policies (the server gives up to 512 of a small set whole), the first 100 lanes
--         of each policy: about 3 ms for 100 policies with a lane each
--- @include "partition"
--- @include "keys/planned_keys"
local from, about = ARGV[1], ARGV[2]
local scopes = { unpack(ARGV, 3) }
local reply, found = { 'POLICIES', '0' }, {}

local function size_of(prefix, lane)
  return redis.call('ZCARD', K .. prefix .. lane)
end

if #scopes > 0 then
  local texts = redis.call('HMGET', K .. 'policies', unpack(scopes))
  for at, scope in ipairs(scopes) do
    if texts[at] then
      found[#found + 1], found[#found + 2] = scope, texts[at]
    end
  end
else
  local page = redis.call('HSCAN', K .. 'policies', from, 'COUNT', about)
  reply[2], found = page[1], page[2]
end
for at = 1, #found, 2 do
  local scope, rows, turns, parked = found[at], 0, 0, 0
  for _, lane in ipairs(lanes_of(scope, '')) do
    rows, turns, parked = rows + size_of('q:', lane), turns + size_of('turn:', lane), parked + size_of('parked:', lane)
  end
  for _, each in ipairs({ scope, found[at + 1], int(slots_of(scope, '').taken), int(rows), int(turns), int(parked) }) do
    reply[#reply + 1] = each
  end
end
return reply
