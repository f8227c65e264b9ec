--- @include "row"
--- @include "plan"
-- A non-terminal row stands in exactly one place, and only these functions move it (design, section 1).

local function leave_place(row)
  if row.place == QUEUED then
    index_remove(lane_set(row.lane), row.id)
  elseif row.place == LEASED then
    index_remove(K .. 'leases', row.id)
    drop(lease_key(row.id))
    if not has_begun(row) then
      index_remove(K .. 'held', row.id)
    end
  elseif row.place == UNCERTAIN then
    index_remove(K .. 'uncertain', row.id)
  elseif row.place == OUTSIDE then
    index_remove(K .. 'outside', row.id)
  end
end

-- An owner's index keeps what it holds, and the owner-bound work that it started, until that is settled.
local function disown_holder(row)
  if row.holder and not (row.disposition == OWNER_BOUND and row.starter == row.holder) then
    index_remove(owned_set(row.holder), row.id)
  end
end

-- Each row has a score of its own, so that a page of the index ends between two. A batch claim's rows stand by its
-- number (claim_next), and before them the others, by the sequence that no other row has.
local function list_as_owned(me, row)
  index_add(owned_set(me), '-' .. row.sequence, row.id)
end

local function clear_lease(row)
  clear_fields(row.id, 'ho', 'tk', 'ex', 'ca')
end

local function queue_again(row)
  leave_place(row)
  disown_holder(row)
  index_add(lane_set(row.lane), row.sequence, row.id)
  write_row(row.id, 'ph', QUEUED)
  clear_lease(row)
end

local function make_uncertain(row)
  leave_place(row)
  disown_holder(row)
  index_add(K .. 'uncertain', int(now), row.id)
  write_row(row.id, 'ph', UNCERTAIN)
  clear_lease(row)
end

local function task_of(row)
  return string.match(row.lane or '', '^[^|]*|([^|]*)|') or ''
end

-- The one and only terminal fact. The caller has checked who may write it.
local function finish(row, state, outcome, fence)
  leave_place(row)
  if row.holder then
    index_remove(owned_set(row.holder), row.id)
  end
  if row.disposition == OWNER_BOUND and row.starter and row.starter ~= row.holder then
    index_remove(owned_set(row.starter), row.id)
  end
  if row.abandon_request then
    index_remove(K .. 'asked', row.id)
  end
  index_add(K .. 'done', int(now), row.id)
  count(task_of(row) .. '|' .. state, 1)
  if #outcome > 64 then
    store(K .. 'o:' .. row.id, outcome)
    outcome = ''
  end
  write_row(row.id, 'ph', '', 'ts', state, 'ta', int(now), 'oc', outcome, 'fe', fence)
  if row.waiters then
    for waiter in string.gmatch(row.waiters, '%S+') do
      publish(waiter, 'ended ' .. row.id)
    end
    clear_fields(row.id, 'w')
  end
end
