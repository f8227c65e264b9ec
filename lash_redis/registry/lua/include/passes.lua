--- @include "planned_keys"
--- @include "lane_names"
-- Whether the first row of a key may start under one policy, by its member (see member_of). If the window is what it
-- waits for, when that ends. In a sequence only the row that is the first of all lanes may start.
local function passes(scope, key, member)
  local name = sequence_named(scope)
  if name then
    return head_of(sequence_in(name, key)) == member
  end
  local policy = policy_of(scope)
  if policy.limit > 0 and slots_of(scope, key).taken + math.min(cost_of(member), policy.limit) > policy.limit then
    return false
  elseif policy.starts > 0 then
    local window = window_of(scope, key)
    if window.starts >= policy.starts then
      return false, window.ends
    end
  end
  return true
end
