--- @include "row"
--- @include "ending/finish"
--- @include "next_fence"
-- End a row that has expired. The reason stands in its outcome, since no request gives it.
local EXPIRED = '\145\167expired'
local function expire(row)
  finish(row, CANCELLED, EXPIRED, next_fence(row))
end
