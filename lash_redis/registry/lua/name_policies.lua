-- name_policies: store policies under their names; one of a lower revision replaces none, one of a higher replaces.
-- needs:  the namespace's header  twice: the same policy stands there already
-- flags   none
-- connections calls
-- KEYS 1  partition header
-- ARGV 1.. (scope, policy) x policies
--         policy: revision keyed limit starts window-ms, with a space between them; 0 for no limit and for no rate
--         Behind the one that stands follows what was declared last and does not hold, and when, ms.
-- reply   NAMED policy that stands x policies
-- bound   policies <= 500
-- What is parked in the lanes of a policy that changes is looked at in bounded steps (see key_alarms).
--- @include "partition"
--- @include "planned_writes"
--- @include "keys/planned_keys"
local reply = { 'NAMED' }

local function revision_of(policy)
  return tonumber(string.match(policy, '^%d+'))
end

for at = 1, #ARGV, 2 do
  local scope, policy = ARGV[at], ARGV[at + 1]
  local text = redis.call('HGET', K .. 'policies', scope) or ''
  local stands = string.match(text, '^%d+ %d+ %d+ %d+ %d+')
  if not stands or revision_of(stands) < revision_of(policy) then
    write_hash('policies', scope, policy)
    if stands then
      look_later(now, nil, 'policy ' .. scope .. ' ')
    end
    stands = policy
  elseif stands ~= policy then
    write_hash('policies', scope, stands .. ' ' .. policy .. ' ' .. now_text)
  end
  reply[#reply + 1] = stands
end
commit()
return reply
