--- @include "row"
--- @include "is_holder"
--- @include "has_outcome"
--- @include "ending/finish"
-- A lease is not a right to any fact (rule 5.3).
local function may_end_as(row, me, state)
  if row.disposition == EXTERNALLY_OWNED then
    return false
  end
  if row.disposition == OWNER_BOUND and row.starter ~= me then
    return false
  end
  if state == CANCELLED then
    local ran = row.disposition == OWNER_BOUND or has_begun(row)
    return ran and (row.cancel_request or row.abandon_request)
  end
  return state == COMPLETED or state == FAILED
end

local function end_under_lease(me, lease, id, token, fence, state, outcome)
  local row = read_row(id)
  if not row then
    return 'UNKNOWN'
  end
  row.lease = lease
  local holding = is_holder(row, me, token, fence)
  if row.state then
    return holding and row.state == state and has_outcome(id, outcome) and 'DONE' or 'TERMINAL'
  end
  if not may_end_as(row, me, state) then
    return 'AUTHORITY'
  end
  if not (holding and is_live(row)) then
    return 'LOST'
  end
  finish(row, state, outcome, fence)
  return 'DONE'
end

-- End the rows of an owner that the arguments from `first` to `last` name: id, token, fence, state and outcome of each.
-- Put the status of each into `reply`. The caller commits.
local function end_rows(reply, me, first, last)
  local keys = {}
  for at = first, last, 5 do
    keys[#keys + 1] = lease_key(ARGV[at])
  end
  local leases = redis.call('MGET', unpack(keys))
  for at = first, last, 5 do
    local number = #reply
    reply[number + 1] = end_under_lease(me, leases[(at - first) / 5 + 1], unpack(ARGV, at, at + 4))
  end
end
