--- @include "partition"
--- @include "wake_if_any"
--- @include "keys/planned_keys"
--- @include "lane_names"
-- A key's slots have changed: look at it in every lane that shares them, from one of them on. Keys in rotation are
-- looked at unless there is more room now. Of a limit that all keys share no key is parked, so that workers are told if
-- there may be more room. `has_room` is nil where nobody knows. An alarm goes on after as many lanes as one step has.
local function look_in_scope(scope, key, after, has_room)
  local lanes = lanes_of(scope, after)
  for at = 1, math.min(#lanes, MAX_LANES) do
    local lane = lanes[at]
    if scopes_of(lane) == scope then
      if has_room then
        has_room_in(lane, key)
      else
        local entry = key_in(lane, key)
        entry.is_concerned, entry.has_changed = true, true
      end
    elseif has_room ~= false and redis.call('ZCARD', K .. 'turn:' .. lane) > 0 then
      wake_if_any(lane)
    end
  end
  if #lanes > MAX_LANES then
    look_later(now, nil, 'slots ' .. scope .. ' ' .. lanes[MAX_LANES] .. ' ' .. key)
  end
end
