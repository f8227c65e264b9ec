--- @include "partition"
--- @include "planned_writes"
-- When a worker is to claim again, since something becomes due. One of them is told the very time: whoever brought what
-- was due last, or was the first to ask. The others hear of a later time, so that not all of them come at once; they
-- come in its place if it does not.
local UNWATCHED_MS = 400
local function watch_due(me, has_brought)
  if has_brought or not header[3] then
    header[3] = me
    set_header('watcher', me)
  end
  return int(tonumber(header[2]) + (header[3] == me and 0 or UNWATCHED_MS))
end
