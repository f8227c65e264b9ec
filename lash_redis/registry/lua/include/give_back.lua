--- @include "row"
--- @include "make_uncertain"
--- @include "cancel_settles"
--- @include "finish"
--- @include "next_fence"
--- @include "queue_again"
-- End a lease at its holder's word. Started owner-bound work becomes uncertain, and what is to be cancelled ends.
-- Anything else goes back into its lane: return that lane.
local function give_back(row)
  if row.disposition == OWNER_BOUND and row.starter then
    make_uncertain(row)
  elseif row.cancel_request and cancel_settles(row) then
    finish(row, CANCELLED, '', next_fence(row))
  else
    queue_again(row)
    return row.lane
  end
end
