--- @include "planned_keys"
-- Whether a row that costs so much may start under one policy. If the window is what it waits for, when that ends.
local function passes(scope, key, cost)
  local policy = policy_of(scope)
  if policy.limit > 0 and slots_of(scope, key).taken + math.min(cost, policy.limit) > policy.limit then
    return false
  elseif policy.starts > 0 then
    local window = window_of(scope, key)
    if window.starts >= policy.starts then
      return false, window.ends
    end
  end
  return true
end
