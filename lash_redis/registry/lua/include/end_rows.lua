--- @include "partition"
--- @include "row"
--- @include "stored_lane"
--- @include "lane_names"
--- @include "planned_writes"
--- @include "is_holder"
--- @include "has_outcome"
--- @include "ended_index"
--- @include "ended_kind"
--- @include "store_payload"
--- @include "ending/tell_waiters"
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
  if not (holding and row.place == LEASED and is_live(row)) then
    return 'LOST'
  end
  finish(row, state, outcome, fence)
  return 'DONE'
end

-- What work is whose holder may say that it completed or failed, whether somebody chose its id or not.
local ENDS_IN_POOL = {
  [RERUNNABLE] = true, [RERUNNABLE .. CHOSEN] = true, [OWNER_BOUND] = true, [OWNER_BOUND .. CHOSEN] = true,
}

-- End the rows of an owner that the arguments from `first` to `last` name: id, token, fence, state and outcome of each.
-- Put the status of each into `reply`. The caller commits. Most ends are plain: the work completed or failed under the
-- lease under which it was started first, and nobody but clients is told. What finish plans of these is planned here,
-- without a table of the row. Most have the lane and the expiry of the one before.
local function end_rows(reply, me, first, last)
  local keys, number = {}, 0
  for at = first, last, 5 do
    number = number + 1
    keys[number] = lease_key(ARGV[at])
  end
  local leases, answered = redis.call('MGET', unpack(keys)), #reply
  local held, owned, listed, lane, kind, of_state, expires, expires_at
  number = 0
  for at = first, last, 5 do
    number = number + 1
    local id, token, fence, state, outcome = unpack(ARGV, at, at + 4)
    local key, lease, is_plain = row_key(id), leases[number], false
    local f = redis.pcall('HMGET', key, 'd', 'ph', 'ln', 'ho', 'tk', 'fe', 'ex', 'fa', 'w', 'fs', 'ar', 'kr', 'dp',
      'gp')
    if f[4] == me and f[5] == token and lease == token and f[6] == fence and f[2] == LEASED and f[3] and f[8]
      and not (f[10] or f[11] or f[12] or f[13] or f[14])
      and ENDS_IN_POOL[f[1]] and (state == COMPLETED or state == FAILED) then
      if f[7] ~= expires then
        expires, expires_at = f[7], number_in(f[7])
      end
      if f[3] ~= lane or state ~= of_state then
        local name, by_key = split_key(stored_lane(f[3]))
        lane, of_state, listed = f[3], state, nil
        kind = not by_key and ended_kind({ lane = name }, state) or nil
      end
      is_plain = now < expires_at and kind
    end
    if is_plain then
      held = held or list_for(removed, K .. INDEX[LEASED])
      owned = owned or list_for(removed, owned_set(me))
      listed = listed or list_for(added, ended_index(kind))
      local n, waiters = #listed, f[9]
      held[#held + 1], owned[#owned + 1], listed[n + 1], listed[n + 2] = id, id, now_text, id
      drop(keys[number])
      count(kind, 1)
      plain_ends = plain_ends or {}
      n = #plain_ends
      plain_ends[n + 1], plain_ends[n + 2], plain_ends[n + 3] = key, state, store_payload('o:', id, outcome)
      plain_ends[n + 4] = waiters
      if waiters then
        tell_waiters(id, waiters, state, kind, outcome)
      end
      reply[answered + number] = 'DONE'
    else
      reply[answered + number] = end_under_lease(me, lease, id, token, fence, state, outcome)
    end
  end
end
