--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "wake_if_any"
--- @include "claims_are_stale"
--- @include "lane_names"
--- @include "keys/hand_out_keys"
--- @include "filled_lanes"
--- @include "list_as_idle"
--- @include "share_of"
--- @include "is_plain_row"
--- @include "first_leases"
--- @include "claiming/look_closely"
--- @include "claiming/start_row"
--- @include "claiming/hand_out_again"
--- @include "remember_owner"
--- @include "bring_due"
--- @include "watch_due"
--- @include "input_of"
-- A batch claim: hand out up to so many queued rows of the lanes that an owner serves, and start them.
local claimer, goal, lease_ms, token_stem, asked_alone, asked_bound, takes_how, list_claimed, queues_claimed
local claim_reply, claim_number, leases_end
local handed_out, handed_bytes, passed_over, looked_again = 0, 0, 0, 0
-- Nothing more is handed out, although there may be more: as much as was wanted, or this owner's share.
local claim_is_full, is_shared = false, false
-- What lost two owners may end its worker process, and owner-bound work beside it would be abandoned. So one that runs
-- alone is not handed out beside owner-bound rows (rule 4.6).
local may_take_alone, may_take_bound, has_passed_alone = false, false, false
-- How many entries a claim passes over that it cannot hand out, and how many of those that were set back before.
local MAX_PASSED_OVER, MAX_LOOKED_AGAIN = 100, 16
local IDLE_MS = 60000
local MOST_WOKEN = 16
local MAX_DUE = 200

local function hand_out(id, token, fence, lane, disposition, input, retries)
  handed_out, handed_bytes = handed_out + 1, handed_bytes + #input
  claim_is_full = handed_out == goal
  local n = 6 * handed_out
  claim_reply[n + 1], claim_reply[n + 2], claim_reply[n + 3] = id, token, fence
  claim_reply[n + 4], claim_reply[n + 5], claim_reply[n + 6] = lane, disposition, input
  if retries then
    notes[#notes + 1] = 'tried ' .. retries .. ' ' .. id
  end
end

-- The token of the row that is handed out next, and its score in its owner's index. Each row of each batch has a score
-- of its own, since a batch has fewer than 1000 rows. A number takes long to become text, so that it is put together.
local DIGITS = { '1', '2', '3', '4', '5', '6', '7', '8', '9', [0] = '0' }
local token_tens, score_tens
local function next_token()
  local number = handed_out + 1
  local digit = number % 10
  if digit == 0 or not token_tens then
    local tens = number < 10 and '' or int((number - digit) / 10)
    token_tens, score_tens = token_stem .. tens, claim_number .. string.sub('00' .. tens, -2)
  end
  return token_tens .. DIGITS[digit], score_tens .. DIGITS[digit]
end

-- Lease and start a row of this lane; of a keyed one `entry` is its key, and `member` the row there. Return false if
-- it may not be handed out now: its input is too long for what this answer carries already, or it is owner-bound beside
-- a row that runs alone.
local function lease_and_start(id, lane, entry, member)
  local key = row_key(id)
  local found = redis.pcall('HGETALL', key)
  local row, disposition, input
  if not entry and is_plain_row(found, lane) then
    disposition, input = found[2], found[8]
  else
    row = look_closely(id, fields_of(found), lane, entry, member)
    if not row then
      passed_over = passed_over + 1
      return true
    end
    disposition, input = row.disposition, row.input
  end
  if disposition == OWNER_BOUND and not may_take_bound then
    return false
  end
  if not input or input == '' then
    input = input_of(id, input)
  end
  local size = handed_bytes + #input
  if size > MAX_BYTES and handed_out > 0 then
    claim_is_full = true
    return false
  end
  local token, score = next_token()
  if row and not row.is_plain then
    start_row(row, claimer, token, leases_end, score)
  else
    index_remove(lane_set(lane), id)
    take_first_lease(key, id, token, score)
  end
  hand_out(id, token, row and row.fence or now_text, lane, disposition, input, row and row.retries)
  may_take_alone = may_take_alone and disposition ~= OWNER_BOUND
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
      elseif handed_out == upto or not lease_and_start(found[i], lane) then
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

-- Hand out what this owner takes of one lane, and return whether the lane has more.
local function hand_out_of(entry, most)
  if entry.alone and not may_take_alone then
    has_passed_alone = true
  elseif not claim_is_full and most > 0 then
    local before = handed_out
    local has_more
    if scopes_of(entry.lane) then
      has_more = hand_out_keys(entry.lane, most, function(key, member)
        local handed_before = handed_out
        local goes_on = not claim_is_full and lease_and_start(string.match(member, '^%S+'), key.lane, key, member)
        claim_is_full = claim_is_full or passed_over >= MAX_PASSED_OVER
        if not goes_on or passed_over >= MAX_PASSED_OVER then
          return false
        end
        return handed_out > handed_before or nil
      end)
    else
      has_more = hand_out_lane(entry.lane, most)
    end
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
  local owner, most, ttl, remembers
  claimer, owner, claim_number, most, ttl, token_stem, asked_alone, asked_bound, takes_how, remembers, list_claimed =
    unpack(asked)
  local stale, last_number = claims_are_stale(claimer, claim_number)
  if stale then
    return { 'STALE' }
  end
  remembers = remembers == '1'
  local is_sent_again, lanes_named = tonumber(claim_number) == last_number, tonumber(string.match(list_claimed, '%d+$'))
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
  claim_reply, claim_is_full = { 'CLAIMED', now_text, leases_end, '0', '0', notes }, goal == 0
  if is_sent_again then
    hand_out_again(claimer, claim_number, token_stem, lease_ms, hand_out)
    -- Whether the first answer left rows behind is not known any more.
    claim_is_full = true
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
  write_hash('claims', claimer, claim_number)
  plan_first_leases(claimer, leases_end)
  commit()
  return claim_reply
end
