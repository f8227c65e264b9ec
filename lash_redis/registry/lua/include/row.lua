--- @include "partition"
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
  return tonumber(string.match(text or '', '^%d+$') or '0')
end

-- A field that the row does not have is false.
local function read_row(id)
  local f = fields_of(redis.pcall('HMGET', row_key(id), 'd', 'ph', 'ln', 'sq', 'ho', 'tk', 'fe', 'ex', 'ca',
    'fs', 'fa', 'ft', 'st', 'lo', 'lt', 'll', 'ar', 'cr', 'w', 'ts', 'pr', 'du',
    'nw', 'uq', 'lb', 'ch', 'kr', 'co', 'xp', 'tr', 'rt', 'lf', 're',
    'aw', 'dp', 'gp', 'rk'))
  if not f[1] then
    return nil
  end
  return {
    id = id, disposition = f[1], place = f[2], lane = f[3], sequence = f[4],
    holder = f[5], token = f[6], fence = f[7], expires = f[8], claimed = f[9],
    starter = f[10], started = f[11], start_token = f[12], attempt_token = f[13],
    losses = f[14], lost_token = f[15], loss_limit = f[16],
    abandon_request = f[17], cancel_request = f[18], waiters = f[19], state = f[20],
    priority = f[21], due = f[22],
    new = f[23], unique = f[24],
    labels = f[25], is_chosen = f[26], keep_result = f[27], cost = f[28],
    expiry = f[29], retries = f[30], retry_token = f[31], last_failure = f[32], releases = f[33],
    awaits = f[34], dependents = f[35], group = f[36], resolution = f[37],
  }
end

-- User code has begun under the lease that the row names. Each attempt at rerunnable work starts anew.
local function has_begun(row)
  return row.token and (row.token == row.start_token or row.token == row.attempt_token)
end

-- The key and the row must both say so: they can differ by a millisecond, or because a key was evicted (rule 3.1).
local function is_live(row)
  return row.token and now < number_in(row.expires) and text_at(lease_key(row.id)) == row.token
end
