--- @include "row"
--- @include "stored_lane"
--- @include "is_count"
--- @include "is_lane_field"
-- Whether a row of a plain lane is as its registration wrote it, with the fewest fields or also with one client that
-- waits: `found` is what HGETALL answers, which most rows have in the order in which their fields were written. All
-- that a claim asks of such a row is then known. The field of the lane is the same in most rows of one.
local lane_asked, field_of_lane
local function is_plain_row(found, lane)
  if found[11] ~= 'sq' or found[1] ~= 'd' or found[3] ~= 'ph' or found[5] ~= 'ln' or found[7] ~= 'in'
    or found[9] ~= 'at' or found[13] and (found[13] ~= 'w' or found[15]) or found[4] ~= QUEUED then
    return false
  end
  local disposition, field = found[2], found[6]
  if lane_asked ~= lane or field_of_lane ~= field then
    if stored_lane(field) ~= lane or not is_lane_field(lane) then
      return false
    end
    lane_asked, field_of_lane = lane, field
  end
  return (disposition == RERUNNABLE or disposition == OWNER_BOUND) and is_count(found[12])
end
