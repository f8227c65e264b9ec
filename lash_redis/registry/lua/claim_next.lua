-- claim_next: hand out up to count queued processes of the lanes that the owner serves, and start them in one step.
-- needs:  the namespace's header  twice: the same number hands out the same rows, a lower one is stale
-- flags   none
-- connections claim
-- KEYS 1  partition header
-- ARGV 1  owner digest   ARGV 2 owner ('' if it is not to be remembered)   ARGV 3 claim number   ARGV 4 count
-- ARGV 5  ttl, ms   ARGV 6 token stem (a row's token is the stem and the row's number in the batch)
-- ARGV 7  '1' if one row that runs alone may be among them   ARGV 8 '1' if owner-bound rows may
-- ARGV 9  how much is taken: 'share' while others wait, 'all', or 'once' (all, by one that hears of no more)
-- ARGV 10 '1' to remember the owner and its list, as each worker asks every few seconds; the list must be known then
-- ARGV 11 name of the list of lanes (see name_lanes)   ARGV 12.. queues, in their order
-- reply   CLAIMED now expires more passed {notes} (id, token, fence, lane, disposition, input) x rows
--         · UNNAMED (the list is not known, and nothing was done) · STALE
--         more: '1' if there may be more rows, '2' if they were left for others that wait;
--         passed: '1' if rows wait that run alone;
--         notes: 'due ms' (when to claim again), 'tick ..' (a schedule is due, see read_schedule), 'tried number id'
--         (how often a row was tried again), and the ids of rows that were left as they are
-- bound   count <= 500, inputs of 1 MiB (a longer one goes alone), the lanes of the list, 16 lanes woken for,
--         100 entries passed over, 200 due rows, 200 alarms
-- What has become due is brought first: a transition of its own, committed before the claim looks at the lanes.
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
local me, owner, number, wanted, ttl, stem, alone, bound, takes, remembers, list = unpack(ARGV, 1, 11)
wanted, ttl, remembers = tonumber(wanted), tonumber(ttl), remembers == '1'
-- What lost two owners may end its worker process, and owner-bound work beside it would be abandoned. So one that runs
-- alone is not handed out beside owner-bound rows (rule 4.6).
local may_take_alone, may_take_bound, has_passed_alone = alone == '1', bound == '1', false
local expires = int(now + ttl)
-- Scores above this one are of rows that some claim could not read; a sequence is far below it.
local SET_BACK = 2 ^ 52
-- How many entries a claim passes over that it cannot hand out, and how many of those that were set back before.
local MAX_PASSED_OVER, MAX_LOOKED_AGAIN = 100, 16
local passed_over, looked_again = 0, 0
local IDLE_MS = 60000
local MAX_WAKES = 16
local queues = { unpack(ARGV, 12) }

local stale, last_number = claims_are_stale(me, number)
if stale then
  return { 'STALE' }
end
local is_sent_again, lanes_named = tonumber(number) == last_number, tonumber(string.match(list, '%d+$'))
-- A list has each lane twice: for the rows that run alone too.
if remembers and not is_sent_again and redis.call('ZCARD', K .. 'serves:' .. list) ~= 2 * lanes_named then
  return { 'UNNAMED' }
end

local MAX_DUE = 200
local has_brought = bring_due(MAX_DUE)
if has_brought then
  commit()
end

local reply, handed, bytes = { 'CLAIMED', now_text, expires, '0', '0', notes }, 0, 0
-- Nothing more is handed out, although there may be more: as much as was wanted, or this owner's share.
local is_full, is_shared = wanted == 0, false

local function hand_out(row, input, lane)
  handed, bytes = handed + 1, bytes + #input
  is_full = handed == wanted
  local n = #reply
  reply[n + 1], reply[n + 2], reply[n + 3] = row.id, row.token, row.fence
  reply[n + 4], reply[n + 5], reply[n + 6] = lane or lane_of(row), row.disposition, input
  if row.retries then
    notes[#notes + 1] = 'tried ' .. row.retries .. ' ' .. row.id
  end
end

-- Each row of each batch has a score of its own, since a batch has fewer than 1000 rows. The last number of all
-- (2^53 - 1) is too high to be exact, but no claim has it that hands out anything.
local scores_begin = tonumber(number) * 1000

-- The lease of this claim, under which a row stands or stood.
local function is_of_this_claim(token)
  return token and string.sub(token, 1, #stem) == stem
end

-- The answer was lost, and the worker asks for the same rows. Those that nobody took since are leased anew (rule 8.5),
-- with the same token and fence. What became uncertain meanwhile has a new fence: it is its starter's alone.
local function hand_out_again()
  local key, first, last = K .. 'of:' .. me, int(scores_begin + 1), int(scores_begin + MAX_BATCH)
  local found = redis.call('ZRANGEBYSCORE', key, first, last, 'WITHSCORES', 'LIMIT', '0', int(MAX_BATCH))
  for i = 1, #found, 2 do
    local id, score = found[i], found[i + 1]
    local row = read_row(id)
    local open = row and not row.state
    if open and row.holder == me and is_of_this_claim(row.token) then
      extend_lease(row, ttl)
      hand_out(row, input_of(id, redis.call('HGET', row_key(id), 'in')))
    elseif open and row.place == UNCERTAIN and row.starter == me and is_of_this_claim(row.start_token) then
      take_lease(row, me, row.start_token, expires, score)
      hand_out(row, input_of(id, redis.call('HGET', row_key(id), 'in')))
    end
  end
  -- Whether the first answer left rows behind is not known any more.
  is_full = true
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
  if handed > 0 and bytes + #input > MAX_BYTES then
    is_full = true
    return false
  end
  take_lease(row, me, stem .. (handed + 1), expires, string.format('%.0f', scores_begin + handed + 1), true)
  mark_started(row)
  hand_out(row, input, lane)
  may_take_alone = may_take_alone and row.disposition ~= OWNER_BOUND
  return true
end

-- The rows of a lane that was looked at before anything was handed out: all of them.
local looked_at = {}

-- Hand out up to `most` rows of a lane, and return whether it has more. What was set back comes last. While some of
-- it can be read, there may be more.
local function hand_out_lane(lane, most)
  local goal, at, asked, found_again = handed + most, 0, 0, false
  repeat
    at, asked = at + asked, goal - handed + 1
    local found = looked_at[lane]
      or redis.call('ZRANGE', K .. 'q:' .. lane, int(at), int(at + asked - 1), 'WITHSCORES')
    if #found < 2 * asked then
      members[lane_set(lane)] = at + #found / 2
    end
    for i = 1, #found, 2 do
      local was_set_back, before = tonumber(found[i + 1]) >= SET_BACK, handed
      if was_set_back and (handed == goal or looked_again == MAX_LOOKED_AGAIN) then
        is_full = is_full or found_again
        return found_again
      elseif handed == goal or not lease_and_start(found[i], lane, no_key, found[i]) then
        return true
      elseif passed_over >= MAX_PASSED_OVER then
        is_full = true
        return true
      end
      looked_again = looked_again + (was_set_back and handed == before and 1 or 0)
      found_again = found_again or was_set_back and handed > before
    end
  until #found < 2 * asked
  return false
end

-- Hand out up to `most` rows of a keyed lane, and return whether it has more that may run now.
local function hand_out_keyed(lane, most)
  return hand_out_keys(lane, most, function(entry, member)
    local before = handed
    if is_full or not lease_and_start(string.match(member, '^%S+'), lane, entry, member) then
      return false
    elseif passed_over >= MAX_PASSED_OVER then
      is_full = true
      return false
    end
    return handed > before or nil
  end)
end

-- Hand out what this owner takes of one lane, and return whether the lane has more.
local function hand_out_of(entry, most)
  if entry.alone and not may_take_alone then
    has_passed_alone = true
  elseif not is_full and most > 0 then
    local before = handed
    local has_more = (scopes_of(entry.lane) and hand_out_keyed or hand_out_lane)(entry.lane, most)
    if entry.alone and handed > before then
      may_take_alone, may_take_bound = false, false
    end
    return has_more
  end
  return true
end

-- Whoever leaves runnable rows behind wakes the next (rule 9.4): for each lane, and for one of those that run alone.
-- Another one was woken already for what this owner may not take at all.
local function hand_out_queued()
  local filled, woke_alone, wakes = filled_lanes(list), alone ~= '1', 0
  for _, queue in ipairs(queues) do
    local lanes = filled[queue] or {}
    local shares = takes == 'share' and wanted - handed > 1
    local left = (is_full or #lanes == 0) and 0
      or shares and share_of(queue, lanes, me, wanted, IDLE_MS, looked_at) or wanted
    for _, entry in ipairs(lanes) do
      local before = handed
      local has_more = hand_out_of(entry, entry.alone and 1 or math.min(left, wanted - handed))
      left = left - (entry.alone and 0 or handed - before)
      is_shared = is_shared or has_more and left == 0 and not entry.alone
      if has_more and not (entry.alone and woke_alone) and (is_full or left == 0 or bound == '1') then
        local somebody_waits = wake_if_any(entry.lane)
        woke_alone, wakes = woke_alone or entry.alone, wakes + (somebody_waits and 1 or 0)
        if wakes == MAX_WAKES then
          return
        elseif is_full and not somebody_waits then
          break
        end
      end
    end
  end
end

if is_sent_again then
  hand_out_again()
elseif wanted > 0 then
  hand_out_queued()
end
for _, queue in ipairs(takes ~= 'once' and queues or {}) do
  list_as_idle(queue, me, not (is_full or is_shared), IDLE_MS, remembers)
end
if remembers then
  if lanes_named > 0 then
    index_add(K .. 'lists', now_text, list)
  end
  remember_owner(me, owner)
end
if header[2] and takes ~= 'once' then
  notes[#notes + 1] = 'due ' .. watch_due(me, has_brought)
end
reply[4], reply[5] = is_full and '1' or is_shared and '2' or '0', has_passed_alone and '1' or '0'
write_hash('claims', me, number)
commit()
return reply
