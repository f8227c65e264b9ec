--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "lane_of"
-- The key of the index that lists a row while it stands in a place.
local function place_index(row, place)
  if place == QUEUED then
    return lane_set(lane_of(row))
  end
  return K .. INDEX[place]
end
