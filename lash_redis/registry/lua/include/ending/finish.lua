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
--- @include "waiting/tell_dependents"
-- A short outcome of these stands in the message for those that read it there (see registry/messages.py).
local TOLD, MOST_TOLD = { [COMPLETED] = true, [FAILED] = true }, 1024

-- Tell those that wait, once the fact is written.
local function tell_waiters(row, state, kind, outcome)
  local is_told = TOLD[state] and #outcome <= MOST_TOLD
  for waiter in string.gmatch(row.waiters, '%S+') do
    if is_told and string.sub(waiter, 1, 1) == '+' then
      publish(waiter, 'outcome ' .. row.id .. ' ' .. kind .. ' ' .. outcome)
    else
      publish(waiter, 'ended ' .. row.id)
    end
  end
end

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
  write_row(row.id, 'ph', '', 'ts', state, 'ta', now_text, 'oc', store_payload('o:', row.id, outcome),
    'fe', fence)
  if row.expires then
    write_row(row.id, 'ex', '')
  end
  if row.waiters then
    tell_waiters(row, state, kind, outcome)
    write_row(row.id, 'w', '')
  end
  if row.dependents or row.group then
    tell_dependents(row, state, finish)
  end
end
