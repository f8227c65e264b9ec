--- @include "partition"
--- @include "due/bring_all_due"
-- Bring what is due, at most so many rows and alarms, and return whether anything was. Nothing is read while nothing is
-- due, unless the clock was set back. It is committed here; whoever calls this commits what remains, the new due time.
local function bring_due(most)
  local was_set_back = header[6] and tonumber(header[6]) > now
  if not was_set_back and (not header[2] or tonumber(header[2]) > now) then
    return false
  end
  bring_all_due(most, was_set_back)
  return true
end
