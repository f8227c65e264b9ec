-- keys_of_limit: read keys with rows that wait in the lanes of a limit by key: what they have, and why they are parked.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  scope   ARGV 2 how many at most
-- reply   OF_KEYS number (key, taken, uncertain, starts, why) x keys
--         number: how many keys there are, in each lane by itself; those that are parked come first;
--         taken, uncertain: slots, and those of uncertain rows; starts: in the window that is open;
--         why: '' its first row may start · 'slots' · 'turn lane' (the one that is next) · 'window ms' (until its end)
-- bound   keys <= 500, the first 100 lanes
--- @include "partition"
--- @include "keys/planned_keys"
--- @include "lane_names"
--- @include "keys/passes"
--- @include "cost_of"
local scope, most = ARGV[1], tonumber(ARGV[2])
local number, reply = 0, {}
local MOST_LANES = 100

local function why_parked(slots, lane, member)
  local limit = policy_of(scope).limit
  local may_start, opens_at = passes(scope, slots.key, member, lane)
  if opens_at then
    return 'window ' .. int(opens_at - now)
  elseif not may_start and slots.taken + math.min(cost_of(member), limit) > limit then
    return 'slots'
  end
  return may_start and '' or 'turn ' .. waiting_for(slots)[1].lane
end

local function read_keys(prefix)
  for at = 1, math.min(#lanes_of(scope, ''), MOST_LANES) do
    local lane = lanes_of(scope, '')[at]
    local set = K .. prefix .. lane
    if scopes_of(lane) == scope then
      number = number + redis.call('ZCARD', set)
      local left = most - #reply / 5
      for _, key in ipairs(left > 0 and redis.call('ZRANGE', set, '0', int(left - 1)) or {}) do
        local slots, window, member = slots_of(scope, key), window_of(scope, key), head_of(key_in(lane, key))
        local why = prefix == 'parked:' and member and why_parked(slots, lane, member) or ''
        for _, each in ipairs({ key, int(slots.taken), int(slots.uncertain), int(window.starts), why }) do
          reply[#reply + 1] = each
        end
      end
    end
  end
end

read_keys('parked:')
read_keys('turn:')
return { 'OF_KEYS', int(number), unpack(reply) }
