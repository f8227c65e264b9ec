--- @include "row"
--- @include "planned_writes"
-- Tell the holder of a live lease that there is a request. Return whether the lease is live.
local function tell_holder(row)
  local live = is_live(row)
  if live then
    publish(row.holder, 'request ' .. row.id)
  end
  return live
end
