--- @include "row"
--- @include "make_uncertain"
--- @include "list_as_owned"
--- @include "cancel_settles"
--- @include "ending/finish"
--- @include "next_fence"
--- @include "moving/enter_lane"
-- End a lease at its holder's word. Started owner-bound work becomes uncertain, and what is to be cancelled ends.
-- Anything else goes back into its lane. What its starter gave up itself is no longer listed as of a batch claim, so
-- that a late copy of that claim does not hand it out again.
local function give_back(row)
  if row.disposition == OWNER_BOUND and row.starter then
    make_uncertain(row)
    if row.holder == row.starter then
      list_as_owned(row.starter, row)
    end
  elseif row.cancel_request and cancel_settles(row) then
    finish(row, CANCELLED, '', next_fence(row))
  else
    enter_lane(row)
  end
end
