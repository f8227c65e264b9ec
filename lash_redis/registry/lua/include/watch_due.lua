--- @include "partition"
--- @include "planned_writes"
-- When a worker is to claim again, since something becomes due. One of them is told the very time: whoever brought what
-- was due last, or was the first to ask. The others hear of later times, each of its own by its digest, so that they do
-- not come at once; they come in its place if it does not.
local UNWATCHED_MS, SPREAD_MS = 400, 400
local function watch_due(me, has_brought)
  if has_brought or not header[3] then
    header[3] = me
    set_header('watcher', me)
  end
  if header[3] == me then
    return header[2]
  end
  local first, second = string.byte(me, 1, 2)
  return int(tonumber(header[2]) + UNWATCHED_MS + (first * 256 + second) % SPREAD_MS)
end
