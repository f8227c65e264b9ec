--- @include "partition"
--- @include "row"
-- Whether a terminal row has this outcome; a long one is stored beside the row. One whose result was forgotten has any.
local function has_outcome(id, outcome)
  local short = redis.call('HGET', row_key(id), 'oc')
  return not short or (short == '' and text_at(K .. 'o:' .. id) or short) == outcome
end
