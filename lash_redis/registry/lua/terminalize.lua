-- terminalize: write the terminal facts of work that this owner ran, each under its lease.
-- needs:  the live leases         twice: the same fact is answered as done
-- flags   allow-oom
-- connections control
-- KEYS 1  partition header
-- ARGV 1  owner digest   ARGV 2 '1' to answer the row   ARGV 3.. (id, token, fence, state, outcome) x rows
-- reply   TERMINALIZED (DONE · UNKNOWN · TERMINAL · AUTHORITY · LOST) x rows, then the row of the only one if asked
-- bound   rows <= 500
--- @include "row"
--- @include "planned_writes"
--- @include "is_holder"
--- @include "has_outcome"
--- @include "ending/finish"
--- @include "row_reply"
local me, answer_row = ARGV[1], ARGV[2] == '1'

-- A lease is not a right to any fact (rule 5.3).
local function may_write(row, state)
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

local function terminalize(lease, id, token, fence, state, outcome)
  local row = read_row(id)
  if not row then
    return 'UNKNOWN'
  end
  row.lease = lease
  local holding = is_holder(row, me, token, fence)
  if row.state then
    return holding and row.state == state and has_outcome(id, outcome) and 'DONE' or 'TERMINAL'
  end
  if not may_write(row, state) then
    return 'AUTHORITY'
  end
  if not (holding and is_live(row)) then
    return 'LOST'
  end
  finish(row, state, outcome, fence)
  return 'DONE'
end

local reply, keys = { 'TERMINALIZED' }, {}
for at = 3, #ARGV, 5 do
  keys[#keys + 1] = lease_key(ARGV[at])
end
local leases = redis.call('MGET', unpack(keys))
for at = 3, #ARGV, 5 do
  local number = #reply
  reply[number + 1] = terminalize(leases[number], unpack(ARGV, at, at + 4))
end
commit()
if answer_row then
  reply[#reply + 1] = row_reply(ARGV[3])
end
return reply
