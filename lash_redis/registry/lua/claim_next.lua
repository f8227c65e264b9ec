-- claim_next: hand out up to count queued processes of the lanes named, and start them in the same step.
-- needs:  the namespace's header  twice: the same number hands out the same rows, a lower one is stale
-- flags   none
-- connections claim
-- KEYS 1  partition header
-- ARGV 1  namespace uuid   ARGV 2 owner digest   ARGV 3 owner   ARGV 4 claim number   ARGV 5 count
-- ARGV 6  ttl, ms   ARGV 7 token stem (a row's token is the stem and the row's number in the batch)
-- ARGV 8.. (queue, number of lanes, lane..) x queues, in their order
-- reply   CLAIMED now expires (id, token, fence, lane, disposition, input) x rows · STALE · MISMATCH
-- bound   count <= 500, lanes <= 500
--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "namespace_is"
--- @include "claims_are_stale"
--- @include "extend_lease"
--- @include "take_lease"
--- @include "mark_started"
--- @include "remember_owner"
--- @include "wake"
local uuid, me, owner, number, count_wanted, claim_ttl, stem = unpack(ARGV, 1, 7)
local wanted, ttl = tonumber(count_wanted), tonumber(claim_ttl)
local expires = int(now + ttl)
local queues, at = {}, 8
while at < #ARGV do
  local last = at + 1 + tonumber(ARGV[at + 1])
  queues[#queues + 1] = { name = ARGV[at], lanes = { unpack(ARGV, at + 2, last) } }
  at = last + 1
end

if not namespace_is(uuid) then
  return { 'MISMATCH' }
end
local stale, last_number = claims_are_stale(me, number)
if stale then
  return { 'STALE' }
end
local reply, handed, lanes_left = { 'CLAIMED', now_text, expires }, 0, {}

local function hand_out(row, input)
  handed = handed + 1
  if input == '' then
    input = redis.call('GET', K .. 'i:' .. row.id)
  end
  local n = #reply
  reply[n + 1], reply[n + 2], reply[n + 3] = row.id, row.token, row.fence
  reply[n + 4], reply[n + 5], reply[n + 6] = row.lane, row.disposition, input
end

-- Each row of each batch has a score of its own, since a batch has fewer than 1000 rows. The last number of all
-- (2^53 - 1) is too high to be exact, but the claim that has it hands out nothing.
local scores_begin = tonumber(number) * 1000

-- The answer was lost, and the worker asks for the same rows. Those that nobody took since are leased anew, with the
-- same token and fence (rule 8.5).
local function hand_out_again()
  local key, first, last = K .. 'of:' .. me, int(scores_begin + 1), int(scores_begin + MAX_BATCH)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, first, last, 'LIMIT', '0', int(MAX_BATCH))) do
    local row = read_row(id)
    if row and not row.state and row.holder == me and string.sub(row.token, 1, #stem) == stem then
      extend_lease(row, ttl)
      hand_out(row, redis.call('HGET', row_key(id), 'in'))
    end
  end
end

local function lease_and_start(id, lane)
  local f = redis.call('HMGET', row_key(id), 'ph', 'ln', 'd', 'fe', 'fs', 'in')
  if f[1] ~= QUEUED or f[2] ~= lane then
    index_remove(lane_set(lane), id)
    return
  end
  local row = { id = id, place = QUEUED, lane = lane, disposition = f[3], fence = f[4], starter = f[5] }
  take_lease(row, me, stem .. (handed + 1), expires, int(scores_begin + handed + 1))
  mark_started(row, me)
  hand_out(row, f[6])
end

-- The lane of a queue whose oldest row is the oldest goes first, so that no task starves another (rule 9.2).
local function oldest_head_first(lanes)
  local filled = {}
  if #lanes > 0 then
    local listed_lanes = redis.call('ZMSCORE', K .. 'lanes', unpack(lanes))
    for i, lane in ipairs(lanes) do
      if listed_lanes[i] then
        filled[#filled + 1] = { lane = lane, head = 0 }
      end
    end
  end
  if #filled > 1 then
    for _, entry in ipairs(filled) do
      entry.head = tonumber(redis.call('ZRANGE', K .. 'q:' .. entry.lane, '0', '0', 'WITHSCORES')[2] or 0)
    end
    table.sort(filled, function(a, b) return a.head < b.head end)
  end
  return filled
end

local function hand_out_queued()
  for _, queue in ipairs(queues) do
    for _, entry in ipairs(oldest_head_first(queue.lanes)) do
      local missing = wanted - handed
      if missing <= 0 then
        lanes_left[entry.lane] = true
        return
      end
      local ids = redis.call('ZRANGE', K .. 'q:' .. entry.lane, '0', int(missing))
      for i = 1, math.min(#ids, missing) do
        lease_and_start(ids[i], entry.lane)
      end
      if #ids > missing then
        lanes_left[entry.lane] = true
        return
      end
    end
  end
end

if tonumber(number) == last_number then
  hand_out_again()
elseif wanted > 0 then
  hand_out_queued()
end
-- A worker that got fewer rows than it asked for is listed as idle. Any other one is busy, or leaves (it asked for
-- none): a wake-up that it got would be lost.
for _, queue in ipairs(queues) do
  if handed < wanted then
    index_add(K .. 'idle:' .. queue.name, now_text, me)
  else
    index_remove(K .. 'idle:' .. queue.name, me)
  end
end
write_hash('claims', me, number)
remember_owner(me, owner)
commit()
-- An idle worker renews its entry when it claims, with each slow poll. An entry older than a minute is one of a worker
-- that has gone, or of one whose poll_ms is longer: that one gets no wake-ups until it claims again.
if handed < wanted then
  for _, queue in ipairs(queues) do
    redis.call('ZREMRANGEBYSCORE', K .. 'idle:' .. queue.name, '-inf', int(now - 60000))
  end
end
wake(lanes_left)
return reply
