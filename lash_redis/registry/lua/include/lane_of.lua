--- @include "row"
-- The lane whose set lists a row while it is queued. The row's field names it without the suffix.
local function lane_of(row)
  if number_in(row.losses) < ALONE_LOSSES then
    return row.lane
  end
  return row.lane .. ALONE
end
