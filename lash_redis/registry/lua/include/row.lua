--- @include "partition"
--- @include "stored_lane"
-- One process as the transitions see it: its row, and the words for what stands in it.
local RERUNNABLE, OWNER_BOUND, EXTERNALLY_OWNED = 'r', 'o', 'e'
local QUEUED, DELAYED, BLOCKED, LEASED, UNCERTAIN, OUTSIDE = 'q', 'd', 'b', 'l', 'u', 'x'
-- The index that lists a place's rows. A queued row is listed in the set of its lane (see place_index).
local INDEX = {
  [DELAYED] = 'delayed', [BLOCKED] = 'blocked', [LEASED] = 'leases', [UNCERTAIN] = 'uncertain', [OUTSIDE] = 'outside',
}
-- The index that also lists a leased row until code begins under its lease.
local UNBEGUN_INDEX = 'held'
-- The index of abandoned rows that nobody has resolved. Nothing forgets them (rule 5.8).
local UNRESOLVED_INDEX = 'unresolved'
-- Scores above this one are, in a lane, of rows that some claim could not read; a sequence is far below it.
local SET_BACK = 2 ^ 52
local COMPLETED, FAILED, CANCELLED, ABANDONED = 'c', 'f', 'k', 'a'

local function row_key(id)
  return K .. 'p:' .. id
end

local function lease_key(id)
  return K .. 'l:' .. id
end

-- Fields as they were read. A key of another type has none of them; any other error ends the script.
local function fields_of(read)
  if not read.err then
    return read
  elseif string.find(tostring(read.err), 'WRONGTYPE ', 1, true) then
    return {}
  end
  error(read)
end

-- A number that stands in a row. What is none counts as 0: one damaged row must not end a call about many (rule 8.15).
local function number_in(text)
  return text and tonumber(string.match(text, '^%d+$') or '0') or 0
end

-- What the fields of a row mean. One that is not listed here is read by its own scripts.
local MEANINGS = {
  d = 'disposition', ph = 'place', ln = 'lane', sq = 'sequence', ho = 'holder', tk = 'token', fe = 'fence',
  ex = 'expires', ca = 'claimed', fs = 'starter', fa = 'started', ft = 'start_token', st = 'attempt_token',
  lo = 'losses', lt = 'lost_token', ll = 'loss_limit', ar = 'abandon_request', cr = 'cancel_request', w = 'waiters',
  ts = 'state', pr = 'priority', du = 'due', nw = 'new', uq = 'unique', lb = 'labels',
  kr = 'keep_result', co = 'cost', xp = 'expiry', tr = 'retries', rt = 'retry_token', lf = 'last_failure',
  re = 'releases', aw = 'awaits', dp = 'dependents', gp = 'group', rk = 'resolution',
}

-- The disposition that a row's field tells, and whether somebody chose the id: that is a second letter, since a field
-- of its own would cost each such row more.
local CHOSEN = 'c'
local function disposition_in(text)
  if text and #text == 2 and string.sub(text, 2) == CHOSEN then
    return string.sub(text, 1, 1), true
  end
  return text, false
end

-- A field that the row does not have is nil. All are read at once: most rows have few of them, and no payload that
-- stands in a row is long. The table is made as large as that of a row that runs.
local function read_row(id)
  local found = fields_of(redis.pcall('HGETALL', row_key(id)))
  local row = {
    id = id, disposition = false, place = false, lane = false, sequence = false, holder = false, token = false,
    fence = false, expires = false, claimed = false, starter = false, started = false, start_token = false,
  }
  for at = 1, #found, 2 do
    local meaning = MEANINGS[found[at]]
    if meaning then
      row[meaning] = found[at + 1]
    end
  end
  row.disposition, row.is_chosen = disposition_in(row.disposition)
  row.lane = row.lane and stored_lane(row.lane)
  -- The first start is that of the lease that the row names, unless it has fields of its own (see mark_started).
  if row.started and not row.starter then
    row.starter, row.start_token, row.is_first_lease = row.holder, row.token, true
    row.claimed = row.claimed or row.started
  end
  return row.disposition and row or nil
end

-- User code has begun under the lease that the row names. Each attempt at rerunnable work starts anew.
local function has_begun(row)
  return row.token and (row.token == row.start_token or row.token == row.attempt_token)
end

-- The key and the row must both say so: they can differ by a millisecond, or because a key was evicted (rule 3.1). A
-- script about many rows has read their keys at once (see terminalize).
local function is_live(row)
  if not row.token or now >= number_in(row.expires) then
    return false
  end
  local lease = row.lease
  if lease == nil then
    lease = text_at(lease_key(row.id))
  end
  return lease == row.token
end
