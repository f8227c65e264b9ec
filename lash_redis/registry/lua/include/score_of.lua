--- @include "partition"
--- @include "row"
-- Where a row stands in its lane: by its priority, and within one by its sequence. A higher priority runs earlier.
local function score_of(row)
  if not row.priority then
    return string.match(row.sequence or '', '^%d+$') or '0'
  end
  return int(number_in(row.sequence) - (tonumber(row.priority) or 0) * 2 ^ 44)
end
