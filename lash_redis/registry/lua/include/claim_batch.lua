--- @include "partition"
--- @include "row"
--- @include "stored_lane"
--- @include "planned_writes"
--- @include "wake_if_any"
--- @include "claims_are_stale"
--- @include "is_readable"
--- @include "lane_of"
--- @include "lane_names"
--- @include "change_key"
--- @include "keys/hand_out_keys"
--- @include "filled_lanes"
--- @include "list_as_idle"
--- @include "share_of"
--- @include "extend_lease"
--- @include "take_lease"
--- @include "mark_started"
--- @include "remember_owner"
--- @include "score_of"
--- @include "bring_due"
--- @include "watch_due"
--- @include "has_expired"
--- @include "input_of"
--- @include "expire"
--- @include "cost_of"
-- A batch claim: hand out up to so many queued rows of the lanes that an owner serves, and start them.
local claimer, goal, lease_ms, token_stem, asked_alone, asked_bound, takes_how, list_claimed, queues_claimed
local claim_reply, leases_end, scores_begin
local handed_out, handed_bytes, passed_over, looked_again = 0, 0, 0, 0
-- Nothing more is handed out, although there may be more: as much as was wanted, or this owner's share.
local claim_is_full, is_shared = false, false
-- What lost two owners may end its worker process, and owner-bound work beside it would be abandoned. So one that runs
-- alone is not handed out beside owner-bound rows (rule 4.6).
local may_take_alone, may_take_bound, has_passed_alone = false, false, false
-- Scores above this one are of rows that some claim could not read; a sequence is far below it.
local SET_BACK = 2 ^ 52
-- How many entries a claim passes over that it cannot hand out, and how many of those that were set back before.
local MAX_PASSED_OVER, MAX_LOOKED_AGAIN = 100, 16
local IDLE_MS = 60000
local MOST_WOKEN = 16
local MAX_DUE = 200

local function hand_out(row, input, lane)
  handed_out, handed_bytes = handed_out + 1, handed_bytes + #input
  claim_is_full = handed_out == goal
  local n = #claim_reply
  claim_reply[n + 1], claim_reply[n + 2], claim_reply[n + 3] = row.id, row.token, row.fence
  claim_reply[n + 4], claim_reply[n + 5], claim_reply[n + 6] = lane or lane_of(row), row.disposition, input
  if row.retries then
    notes[#notes + 1] = 'tried ' .. row.retries .. ' ' .. row.id
  end
end

-- The answer was lost, and the worker asks for the same rows. Those that nobody took since are leased anew (rule 8.5),
-- with the same token and fence. What became uncertain meanwhile has a new fence: it is its starter's alone.
local function hand_out_again()
  local key, first, last = K .. 'of:' .. claimer, int(scores_begin + 1), int(scores_begin + MAX_BATCH)
  local found = redis.call('ZRANGEBYSCORE', key, first, last, 'WITHSCORES', 'LIMIT', '0', int(MAX_BATCH))
  for i = 1, #found, 2 do
    local id, score = found[i], found[i + 1]
    local row = read_row(id)
    local is_held = row and not row.state and row.holder == claimer
    local is_mine = row and not row.state and row.place == UNCERTAIN and row.starter == claimer
    -- Of this claim is a lease whose token has its stem.
    if is_held and string.sub(row.token or '', 1, #token_stem) == token_stem then
      extend_lease(row, lease_ms)
      hand_out(row, input_of(id, redis.call('HGET', row_key(id), 'in')))
    elseif is_mine and string.sub(row.start_token or '', 1, #token_stem) == token_stem then
      take_lease(row, claimer, row.start_token, leases_end, score)
      hand_out(row, input_of(id, redis.call('HGET', row_key(id), 'in')))
    end
  end
  -- Whether the first answer left rows behind is not known any more.
  claim_is_full = true
end

-- Of a newer release, or damaged: the row is left as it is (rule 8.15). Its entry is set back, behind all that can be
-- read, and in the order in which it was looked at. A release that can read it hands it out.
local function set_back(id, lane, entry, member)
  notes[#notes + 1] = id
  passed_over = passed_over + 1
  -- A sequence waits for it: no other row of its key may go before it.
  if not sequence_named(scopes_of(lane)) then
    index_add(lane_set(lane), int(SET_BACK + now), id)
    entry.gone[member], entry.added[member] = true, SET_BACK + now
  end
  return true
end

-- What a row of a plain lane has in place of its key.
local no_key = { gone = {}, added = {} }

-- Lease and start a row of this lane and key. Return false if it may not be handed out now: its input is too long for
-- what this answer carries already, or it is owner-bound beside a row that runs alone.
local function lease_and_start(id, lane, entry, member)
  local f = fields_of(redis.pcall('HMGET', row_key(id), 'ph', 'ln', 'd', 'fe', 'fs', 'in', 'lo', 'sq', 'pr', 'nw',
    'xp', 'tr'))
  local cost = entry ~= no_key and cost_of(member) or 1
  local row = {
    id = id, place = f[1], lane = f[2] and stored_lane(f[2]), sequence = f[8],
    disposition = disposition_in(f[3]), fence = f[4], starter = f[5] or nil, losses = f[7] or nil,
    priority = f[9] or nil, new = f[10] or nil, cost = cost > 1 and int(cost) or nil, expiry = f[11] or nil,
    retries = f[12] or nil,
  }
  -- One that is not there is a stale entry.
  local is_there = row.place or redis.call('EXISTS', row_key(id)) == 1
  if is_there and not is_readable(row) then
    return set_back(id, lane, entry, member)
  end
  if row.place ~= QUEUED or (row.losses or row.lane ~= lane) and lane_of(row) ~= lane then
    passed_over = passed_over + 1
    index_remove(lane_set(lane), id)
    entry.gone[member] = true
    if row.place == QUEUED then
      index_add(lane_set(lane_of(row)), score_of(row), id)
      change_key(row, nil, QUEUED, score_of(row))
    end
    return true
  end
  if row.disposition ~= RERUNNABLE and (row.disposition ~= OWNER_BOUND or row.starter) then
    return set_back(id, lane, entry, member)
  end
  if has_expired(row) then
    passed_over = passed_over + 1
    expire(read_row(id))
    return true
  end
  if row.disposition == OWNER_BOUND and not may_take_bound then
    return false
  end
  local input = input_of(id, f[6])
  if handed_out > 0 and handed_bytes + #input > MAX_BYTES then
    claim_is_full = true
    return false
  end
  local number = handed_out + 1
  take_lease(row, claimer, token_stem .. number, leases_end, string.format('%.0f', scores_begin + number), true)
  mark_started(row)
  hand_out(row, input, lane)
  may_take_alone = may_take_alone and row.disposition ~= OWNER_BOUND
  return true
end

-- The rows of a lane that was looked at before anything was handed out: all of them.
local rows_seen = {}

-- Hand out up to `most` rows of a lane, and return whether it has more. What was set back comes last. While some of
-- it can be read, there may be more.
local function hand_out_lane(lane, most)
  local upto, at, asked, found_again = handed_out + most, 0, 0, false
  repeat
    at, asked = at + asked, upto - handed_out + 1
    local found = rows_seen[lane]
      or redis.call('ZRANGE', K .. 'q:' .. lane, int(at), int(at + asked - 1), 'WITHSCORES')
    if #found < 2 * asked then
      members[lane_set(lane)] = at + #found / 2
    end
    for i = 1, #found, 2 do
      local was_set_back, before = tonumber(found[i + 1]) >= SET_BACK, handed_out
      if was_set_back and (handed_out == upto or looked_again == MAX_LOOKED_AGAIN) then
        claim_is_full = claim_is_full or found_again
        return found_again
      elseif handed_out == upto or not lease_and_start(found[i], lane, no_key, found[i]) then
        return true
      elseif passed_over >= MAX_PASSED_OVER then
        claim_is_full = true
        return true
      end
      looked_again = looked_again + (was_set_back and handed_out == before and 1 or 0)
      found_again = found_again or was_set_back and handed_out > before
    end
  until #found < 2 * asked
  return false
end

-- Hand out up to `most` rows of a keyed lane, and return whether it has more that may run now.
local function hand_out_keyed(lane, most)
  return hand_out_keys(lane, most, function(entry, member)
    local before = handed_out
    if claim_is_full or not lease_and_start(string.match(member, '^%S+'), lane, entry, member) then
      return false
    elseif passed_over >= MAX_PASSED_OVER then
      claim_is_full = true
      return false
    end
    return handed_out > before or nil
  end)
end

-- Hand out what this owner takes of one lane, and return whether the lane has more.
local function hand_out_of(entry, most)
  if entry.alone and not may_take_alone then
    has_passed_alone = true
  elseif not claim_is_full and most > 0 then
    local before = handed_out
    local has_more = (scopes_of(entry.lane) and hand_out_keyed or hand_out_lane)(entry.lane, most)
    if entry.alone and handed_out > before then
      may_take_alone, may_take_bound = false, false
    end
    return has_more
  end
  return true
end

-- Whoever leaves runnable rows behind wakes the next (rule 9.4): for each lane, and for one of those that run alone.
-- Another one was woken already for what this owner may not take at all.
local function hand_out_queued()
  local filled, woke_alone, wakes = filled_lanes(list_claimed), asked_alone ~= '1', 0
  for _, queue in ipairs(queues_claimed) do
    local lanes = filled[queue] or {}
    local shares = takes_how == 'share' and goal - handed_out > 1
    local left = (claim_is_full or #lanes == 0) and 0
      or shares and share_of(queue, lanes, claimer, goal, IDLE_MS, rows_seen) or goal
    for _, entry in ipairs(lanes) do
      local before = handed_out
      local has_more = hand_out_of(entry, entry.alone and 1 or math.min(left, goal - handed_out))
      left = left - (entry.alone and 0 or handed_out - before)
      is_shared = is_shared or has_more and left == 0 and not entry.alone
      if has_more and not (entry.alone and woke_alone) and (claim_is_full or left == 0 or asked_bound == '1') then
        local somebody_waits = wake_if_any(entry.lane)
        woke_alone, wakes = woke_alone or entry.alone, wakes + (somebody_waits and 1 or 0)
        if wakes == MOST_WOKEN then
          return
        elseif claim_is_full and not somebody_waits then
          break
        end
      end
    end
  end
end

-- `asked` are the arguments of claim_next up to the name of the list, and `queues` those behind them. Return what
-- claim_next answers.
local function claim_batch(asked, queues)
  local owner, number, most, ttl, remembers
  claimer, owner, number, most, ttl, token_stem, asked_alone, asked_bound, takes_how, remembers, list_claimed =
    unpack(asked)
  local stale, last_number = claims_are_stale(claimer, number)
  if stale then
    return { 'STALE' }
  end
  remembers = remembers == '1'
  local is_sent_again, lanes_named = tonumber(number) == last_number, tonumber(string.match(list_claimed, '%d+$'))
  -- A list has each lane twice: for the rows that run alone too.
  if remembers and not is_sent_again and redis.call('ZCARD', K .. 'serves:' .. list_claimed) ~= 2 * lanes_named then
    return { 'UNNAMED' }
  end
  local has_brought = bring_due(MAX_DUE)
  if has_brought then
    commit()
  end
  goal, lease_ms, queues_claimed = tonumber(most), tonumber(ttl), queues
  may_take_alone, may_take_bound = asked_alone == '1', asked_bound == '1'
  leases_end = int(now + lease_ms)
  -- Each row of each batch has a score of its own, since a batch has fewer than 1000 rows. The last number of all
  -- (2^53 - 1) is too high to be exact, but no claim has it that hands out anything.
  scores_begin = tonumber(number) * 1000
  claim_reply, claim_is_full = { 'CLAIMED', now_text, leases_end, '0', '0', notes }, goal == 0
  if is_sent_again then
    hand_out_again()
  elseif goal > 0 then
    hand_out_queued()
  end
  for _, queue in ipairs(takes_how ~= 'once' and queues_claimed or {}) do
    list_as_idle(queue, claimer, not (claim_is_full or is_shared), IDLE_MS, remembers)
  end
  if remembers then
    if lanes_named > 0 then
      index_add(K .. 'lists', now_text, list_claimed)
    end
    remember_owner(claimer, owner)
  end
  if header[2] and takes_how ~= 'once' then
    notes[#notes + 1] = 'due ' .. watch_due(claimer, has_brought)
  end
  claim_reply[4], claim_reply[5] = claim_is_full and '1' or is_shared and '2' or '0', has_passed_alone and '1' or '0'
  write_hash('claims', claimer, number)
  commit()
  return claim_reply
end
