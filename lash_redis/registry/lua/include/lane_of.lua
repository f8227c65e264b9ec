--- @include "row"
--- @include "lane_names"
-- The lane whose set lists a row while it is queued. The row's field names it without the suffix of those that run
-- alone.
local function lane_of(row)
  local lane = split_key(row.lane)
  if not row.losses or number_in(row.losses) < ALONE_LOSSES then
    return lane
  end
  return alone_twin(lane)
end
