-- settle: carry out verdicts without a lease, each only if the facts that it saw still stand.
-- needs:  the facts as observed   twice: a fact that stands is answered as done; anything else as changed
-- flags   allow-oom
-- connections control
-- KEYS 1  partition header
-- ARGV 1.. (one row's values, in this order) x rows
--         id
--         action: fact, queue or uncertain
--         state of the fact
--         outcome of the fact
--         '1' to settle even under a live lease: its holder is dead or done
--         observed holder           ho
--         observed token            tk
--         observed fence            fe
--         observed starter          fs
--         observed started          fa
--         observed start_token      ft
--         observed attempt_token    st
--         observed losses           lo
--         observed lost_token       lt
--         observed abandon_request  ar
--         observed cancel_request   cr
--         observed place            ph
-- reply   SETTLED (DONE · CHANGED) x rows
-- bound   rows <= 100
--- @include "row"
--- @include "planned_writes"
--- @include "has_outcome"
--- @include "ending/finish"
--- @include "next_fence"
--- @include "count_loss"
--- @include "moving/enter_lane"
--- @include "make_uncertain"
local OBSERVED = {
  'holder',
  'token',
  'fence',
  'starter',
  'started',
  'start_token',
  'attempt_token',
  'losses',
  'lost_token',
  'abandon_request',
  'cancel_request',
  'place',
}
local reply = { 'SETTLED' }

local function as_observed(row, at)
  for i, name in ipairs(OBSERVED) do
    if (row[name] or '') ~= ARGV[at + i] then
      return false
    end
  end
  return true
end

local function settle(at)
  local id, action, state, outcome, even_if_live = unpack(ARGV, at, at + 4)
  local row = read_row(id)
  if not row then
    return 'CHANGED'
  end
  if row.state then
    local stands = action == 'fact' and row.state == state and has_outcome(id, outcome)
    return stands and 'DONE' or 'CHANGED'
  end
  if not as_observed(row, at + 4) or (even_if_live ~= '1' and is_live(row)) then
    return 'CHANGED'
  end
  if action == 'fact' then
    finish(row, state, outcome, next_fence(row))
  elseif action == 'queue' and row.place == LEASED then
    count_loss(row)
    enter_lane(row)
  elseif action == 'uncertain' and row.place ~= UNCERTAIN then
    make_uncertain(row)
  end
  return 'DONE'
end

for at = 1, #ARGV, 5 + #OBSERVED do
  reply[#reply + 1] = settle(at)
end
commit()
return reply
