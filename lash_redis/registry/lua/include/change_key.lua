--- @include "lane_names"
--- @include "keys/change_keyed"
-- A row goes from a place to another one (nil: it comes into being, or ends, if not ABANDONED). Of a keyed row the
-- queue and the slots of its key change with it. Who may not pass must not come here: a start that nobody asked about
-- takes its slots even if none is free (rule 9.12).
local function change_key(row, from, to, score)
  local _, key = split_key(row.lane)
  if key then
    change_keyed(row, key, from, to, score)
  end
end
