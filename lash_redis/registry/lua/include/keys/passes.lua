--- @include "partition"
--- @include "planned_writes"
--- @include "keys/planned_keys"
--- @include "lane_names"
--- @include "cost_of"
-- Lanes that share slots take turns: the first that is refused is next, and no other takes its slots before it. It is
-- waited for no longer once there was room for it for a second, and not while uncertain rows leave it none.
local function are_kept_for_another(slots, lane, needed, limit)
  local waiting = waiting_for(slots)
  local first = waiting[1]
  local has_room_for_both = first and slots.taken + needed + first.cost <= limit
  if not first or first.lane == lane or has_room_for_both or limit - slots.uncertain < first.cost then
    return false
  elseif waiting.since > 0 and now - waiting.since >= WAITED_FOR_MS then
    wait_no_longer(slots, first.lane)
    store(K .. 'away:' .. first.lane, '1', int(now + NEXT_LIVES_MS))
    look_at_turns(slots, now + 1)
    return are_kept_for_another(slots, lane, needed, limit)
  end
  return true
end

-- Whether the first row of a key in a lane may start under one policy, by its member (see member_of). If the window is
-- what it waits for, when that ends. In a sequence only the row that is the first of all lanes may start.
local function passes(scope, key, member, lane)
  local name = sequence_named(scope)
  if name then
    return head_of(sequence_in(name, key)) == member
  end
  local policy = policy_of(scope)
  if policy.limit > 0 then
    local slots, needed = slots_of(scope, key), math.min(cost_of(member), policy.limit)
    local has_room = slots.taken + needed <= policy.limit
    if not has_room or waiting_for(slots)[1] and are_kept_for_another(slots, lane, needed, policy.limit) then
      wait_in(slots, lane, needed)
      return false
    end
  end
  if policy.starts > 0 then
    local window = window_of(scope, key)
    if window.starts >= policy.starts then
      return false, window.ends
    end
  end
  return true
end
