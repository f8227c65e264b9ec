--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "leave_place"
--- @include "no_longer_new"
--- @include "change_key"
--- @include "ended_index"
--- @include "ended_kind"
--- @include "store_payload"
--- @include "unwatch_expiry"
--- @include "ending/tell_waiters"
--- @include "waiting/tell_dependents"
-- Write the terminal fact, the only one that the row will ever have (rule 5.1). The caller has checked who may.
local function finish(row, state, outcome, fence)
  leave_place(row)
  no_longer_new(row)
  change_key(row, row.place, state == ABANDONED and ABANDONED or nil)
  if row.holder then
    index_remove(owned_set(row.holder), row.id)
  end
  if row.disposition == OWNER_BOUND and row.starter and row.starter ~= row.holder then
    index_remove(owned_set(row.starter), row.id)
  end
  if row.abandon_request then
    index_remove(K .. 'asked', row.id)
  end
  unwatch_expiry(row)
  local kind = ended_kind(row, state)
  index_add(state == ABANDONED and K .. UNRESOLVED_INDEX or ended_index(kind), now_text, row.id)
  count(kind, 1)
  if row.keep_result and state == COMPLETED then
    index_add(K .. 'results', int(now + number_in(row.keep_result)), row.id)
  end
  write_row(row.id, 'ph', '', 'ts', state, 'ta', now_text, 'oc', store_payload('o:', row.id, outcome))
  if row.fence ~= fence then
    write_row(row.id, 'fe', fence)
  end
  if row.expires then
    write_row(row.id, 'ex', '')
  end
  if row.waiters then
    tell_waiters(row.id, row.waiters, state, kind, outcome)
    write_row(row.id, 'w', '')
  end
  if row.dependents or row.group then
    tell_dependents(row, state, finish)
  end
end
