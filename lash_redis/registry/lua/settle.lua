-- settle: carry out verdicts without a lease, each only if the facts that it saw still stand.
-- needs:  the facts as observed   twice: a fact that stands is answered as done; anything else as changed
-- flags   allow-oom
-- line    control
-- KEYS 1  partition prefix
-- ARGV 1.. (id, action, state, outcome, '1' if a live lease is no difference, then the facts as read: holder, token,
--           fence, starter, started, start token, attempt token, losses, lost token, abandon request, cancel
--           request, place) x rows; action: fact, queue or uncertain
-- reply   SETTLED (DONE · CHANGED) x rows
-- bound   rows <= 100
--- @include "row"
--- @include "plan"
--- @include "stored_outcome"
--- @include "finish"
--- @include "next_fence"
--- @include "count_loss"
--- @include "queue_again"
--- @include "make_uncertain"
--- @include "wake"
local reply, lanes = { 'SETTLED' }, {}

local function as_observed(row, at)
  local facts = { row.holder, row.token, row.fence, row.starter, row.started, row.start_token, row.attempt_token,
    row.losses, row.lost_token, row.abandon_request, row.cancel_request, row.place }
  for i = 1, 12 do
    if (facts[i] or '') ~= ARGV[at + 4 + i] then
      return false
    end
  end
  return true
end

local function settle(at)
  local id, action, state, outcome, trusted = unpack(ARGV, at, at + 4)
  local row = read_row(id)
  if not row then
    return 'CHANGED'
  end
  if row.state then
    local stands = action == 'fact' and row.state == state and stored_outcome(id) == outcome
    return stands and 'DONE' or 'CHANGED'
  end
  if not as_observed(row, at) or (trusted ~= '1' and is_live(row)) then
    return 'CHANGED'
  end
  if action == 'fact' then
    finish(row, state, outcome, next_fence(row))
  elseif action == 'queue' and row.place ~= QUEUED then
    count_loss(row)
    queue_again(row)
    lanes[row.lane] = true
  elseif action == 'uncertain' and row.place ~= UNCERTAIN then
    make_uncertain(row)
  end
  return 'DONE'
end

for at = 1, #ARGV, 17 do
  reply[#reply + 1] = settle(at)
end
commit()
wake(lanes)
return reply
