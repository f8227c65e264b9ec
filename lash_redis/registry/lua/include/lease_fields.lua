--- @include "row"
-- What a lease writes into its row. What its start writes follows, where one script does both: a row that was never
-- leased before has these fields in this order from then on.
local function lease_fields(me, token, fence, expires, ...)
  return 'ph', LEASED, 'ho', me, 'tk', token, 'fe', fence, 'ex', expires, ...
end
