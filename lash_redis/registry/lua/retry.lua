-- retry: end runs of rerunnable work that are to be made again later, each under its lease.
-- needs:  the live leases         twice: the row keeps the token of its last retry, which is answered as done
-- flags   allow-oom
-- connections control
-- KEYS 1  partition header
-- ARGV 1  owner digest
-- ARGV 2.. (id, token, fence, ms until it may run again, runs in all ('' for no limit, '0' if this one does not
--         count), the failure ('' if there is none)) x rows
-- reply   RETRIED (DONE (it is delayed) · FAILED (it has had all its runs) · CANCELLED (somebody asked for a stop)
--         · LOST · STALE · UNKNOWN · TERMINAL · AUTHORITY) x rows
-- bound   rows <= 500
--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "may_leave_lease"
--- @include "moving/move_to"
--- @include "ending/finish"
--- @include "next_fence"
--- @include "store_failure"
local me = ARGV[1]

local WORD = { [FAILED] = 'FAILED', [CANCELLED] = 'CANCELLED' }

-- The row waits for its time, and then enters its lane under the number that it has.
local function delay(row, wait)
  row.due = int(now + wait)
  move_to(row, DELAYED, row.due)
  write_row(row.id, 'du', row.due)
  plan_due(tonumber(row.due), queue_of(row.lane))
end

local function retry(id, token, fence, wait, most, failure)
  local row = read_row(id)
  if not row then
    return 'UNKNOWN'
  elseif row.retry_token == token then
    return WORD[row.state] or 'DONE'
  elseif row.state then
    return 'TERMINAL'
  elseif row.disposition ~= RERUNNABLE or not row.starter then
    return 'AUTHORITY'
  elseif not may_leave_lease(row, me, token, fence) then
    -- This owner has claimed it again under a lease of which it may not know; a run that it has begun since is another.
    return row.token and row.holder == me and not has_begun(row) and 'LOST' or 'STALE'
  elseif not is_live(row) then
    return 'LOST'
  end
  write_row(id, 'rt', token)
  if row.cancel_request then
    finish(row, CANCELLED, '', next_fence(row))
    return 'CANCELLED'
  end
  local retries = number_in(row.retries) + (most == '0' and 0 or 1)
  if most ~= '' and most ~= '0' and retries >= tonumber(most) then
    finish(row, FAILED, failure, fence)
    return 'FAILED'
  end
  if most ~= '0' then
    write_row(id, 'tr', int(retries))
    store_failure(row, failure)
  end
  delay(row, tonumber(wait))
  return 'DONE'
end

local reply = { 'RETRIED' }
for at = 2, #ARGV, 6 do
  reply[#reply + 1] = retry(unpack(ARGV, at, at + 5))
end
commit()
return reply
