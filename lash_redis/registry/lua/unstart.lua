-- unstart: give work back whole that was started and never begun: its start is cleared, and it goes into its lane.
-- needs:  no code entered, live leases   twice: the token has no start any more, and nothing changes
-- flags   allow-oom
-- connections control
-- KEYS 1  partition header
-- ARGV 1  owner digest   ARGV 2.. (id, token, fence) x rows
-- reply   UNSTARTED (DONE · STALE · LOST · UNKNOWN · TERMINAL) x rows
-- bound   rows <= 500
--- @include "row"
--- @include "planned_writes"
--- @include "give_back"
--- @include "take_back_loss"
--- @include "may_leave_lease"
local me = ARGV[1]

-- Forget the start that this token has. Of rerunnable work an earlier first start stands.
local function clear_start(row)
  if row.token == row.start_token then
    row.starter, row.start_token, row.is_first_lease = false, false, false
    clear_fields(row.id, 'fs', 'fa', 'ft')
  else
    row.attempt_token = false
    clear_fields(row.id, 'st')
  end
end

local function unstart(id, token, fence)
  local row = read_row(id)
  if not row then
    return 'UNKNOWN'
  elseif row.state then
    return 'TERMINAL'
  end
  local current = may_leave_lease(row, me, token, fence)
  if row.disposition == OWNER_BOUND then
    if row.starter ~= me or row.start_token ~= token then
      return 'STALE'
    elseif not (current and is_live(row)) then
      return 'LOST'
    end
  else
    -- It may run elsewhere already, so its holder claims nothing again: a lapse is no loss, as in a release.
    take_back_loss(row, token)
    if not (current and has_begun(row)) then
      return 'STALE'
    end
  end
  clear_start(row)
  give_back(row)
  return 'DONE'
end

local reply = { 'UNSTARTED' }
for at = 2, #ARGV, 3 do
  reply[#reply + 1] = unstart(unpack(ARGV, at, at + 2))
end
commit()
return reply
