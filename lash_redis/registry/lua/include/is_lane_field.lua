--- @include "lane_names"
-- Whether a row's field is one that this release writes. Many rows have the same.
local known_fields = {}
local function is_lane_field(field)
  if not field or known_fields[field] then
    return field
  end
  local _, key = split_key(field)
  known_fields[field] = key or string.find(field, '^[^|]*|[^|]*|[^|]*$')
  return known_fields[field]
end
