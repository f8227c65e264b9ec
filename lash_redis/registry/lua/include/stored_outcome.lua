--- @include "partition"
--- @include "row"
-- The outcome of a terminal row; a long one is stored beside the row.
local function stored_outcome(id)
  local outcome = redis.call('HGET', row_key(id), 'oc')
  return outcome == '' and text_at(K .. 'o:' .. id) or outcome
end
