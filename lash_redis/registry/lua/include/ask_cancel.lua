--- @include "row"
--- @include "planned_writes"
--- @include "tell_holder"
--- @include "cancel_settles"
--- @include "ending/finish"
--- @include "next_fence"
-- Plan a cancel request on a row that has not ended and has none. The holder of a live lease is told. What nobody holds
-- ends if recovery could run it again: return whether it does.
local function ask_cancel(row, request)
  write_row(row.id, 'cr', request)
  local ends = not tell_holder(row) and cancel_settles(row)
  if ends then
    finish(row, CANCELLED, '', next_fence(row))
  end
  return ends
end
