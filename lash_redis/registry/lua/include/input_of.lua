--- @include "partition"
-- The input of a row whose field holds `short`: a long one stands beside the row.
local function input_of(id, short)
  return short ~= '' and short or text_at(K .. 'i:' .. id) or ''
end
