--- @include "row"
--- @include "lane_names"
--- @include "keys/waits_for_turn"
-- What a queued row of a keyed lane waits for (see waits_for_turn); nil if it may start now.
local function waits_for_key(row)
  local _, key = split_key(row.lane)
  return key and row.place == QUEUED and waits_for_turn(row, key) or nil
end
