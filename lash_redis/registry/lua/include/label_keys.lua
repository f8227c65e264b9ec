--- @include "partition"
-- The keys of the indexes that list a row by its labels. The row holds them as lines, `name=value`.
local function label_keys(row)
  local keys = {}
  for label in string.gmatch(row.labels or '', '[^\n]+') do
    keys[#keys + 1] = K .. 'label:' .. label
  end
  return keys
end
