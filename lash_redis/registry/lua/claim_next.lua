-- claim_next: hand out up to count queued processes of the lanes named, and start them in the same step.
-- needs:  the namespace's header  twice: the same number hands out the same rows, a lower one is stale
-- flags   none
-- line    claim
-- KEYS 1  partition prefix
-- ARGV 1  namespace uuid   ARGV 2 owner digest   ARGV 3 owner   ARGV 4 claim number   ARGV 5 count
-- ARGV 6  ttl, ms   ARGV 7 token stem (a row's token is the stem and its place in the batch)
-- ARGV 8.. (queue, number of lanes, lane..) x queues, in their order
-- reply   CLAIMED now expires (id, token, fence, lane, disposition, input) x rows · STALE · MISMATCH
-- bound   count <= 500, lanes <= 500
--- @include "header"
--- @include "places"
--- @include "owners"
--- @include "wake_one"
local uuid, me, owner, number, count_wanted, ttl, stem = unpack(ARGV, 1, 7)
local wanted, expires = tonumber(count_wanted), int(now + tonumber(ttl))
local queues, at = {}, 8
while at < #ARGV do
  local last = at + 1 + tonumber(ARGV[at + 1])
  queues[#queues + 1] = { name = ARGV[at], lanes = { unpack(ARGV, at + 2, last) } }
  at = last + 1
end

if not namespace_is(uuid) then
  return { 'MISMATCH' }
end
local last_number = tonumber(redis.call('HGET', K .. 'claims', me) or '0')
if tonumber(number) < last_number or redis.call('HEXISTS', K .. 'dead', me) == 1 then
  return { 'STALE' }
end
local reply, long_inputs, handed, left_lane = { 'CLAIMED', int(now), expires }, {}, 0, nil

local function hand_out(id, token, fence, lane, disposition, input)
  handed = handed + 1
  if input == '' then
    long_inputs[#long_inputs + 1] = K .. 'i:' .. id
    long_inputs[#long_inputs + 1] = #reply + 6
  end
  for _, value in ipairs({ id, token, fence, lane, disposition, input }) do
    reply[#reply + 1] = value
  end
end

-- A score of its own for each row of a batch, which has at most 500. The last number of all (2^53 - 1) is too high to
-- be exact, but that claim is empty.
local function score_of(place)
  return int(tonumber(number) * 1000 + place)
end

-- Sent again under its own number: the answer was lost. What nobody took since is leased anew, fence unchanged.
local function hand_out_again()
  local first, last = score_of(1), score_of(500)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', K .. 'of:' .. me, first, last, 'LIMIT', '0', '500')) do
    local row = read_row(id)
    if row and not row.state and row.holder == me and string.sub(row.token, 1, #stem) == stem then
      row.expires = int(math.max(tonumber(row.expires), tonumber(expires)))
      index_add(K .. 'leases', row.expires, id)
      store(lease_key(id), row.token, row.expires)
      write_row(id, 'ex', row.expires)
      hand_out(id, row.token, row.fence, row.lane, row.disposition, redis.call('HGET', row_key(id), 'in'))
    end
  end
end

local function lease_and_start(id, lane)
  local f = redis.call('HMGET', row_key(id), 'ph', 'ln', 'd', 'fe', 'fs', 'in')
  if f[1] ~= QUEUED or f[2] ~= lane then
    index_remove(lane_set(lane), id)
    return
  end
  local token, fence, starter = stem .. int(handed + 1), int(math.max(tonumber(f[4] or 0) + 1, now)), f[5]
  index_remove(lane_set(lane), id)
  index_add(K .. 'leases', expires, id)
  index_add(owned_set(me), score_of(handed + 1), id)
  store(lease_key(id), token, expires)
  if starter then
    write_row(id, 'ph', LEASED, 'ho', me, 'tk', token, 'fe', fence, 'ex', expires, 'ca', int(now), 'st', token)
  else
    write_row(id, 'ph', LEASED, 'ho', me, 'tk', token, 'fe', fence, 'ex', expires, 'ca', int(now),
      'fs', me, 'fa', int(now), 'ft', token)
  end
  hand_out(id, token, fence, lane, f[3], f[6])
end

-- Of one queue the lane with the oldest head goes first, so that no task starves another.
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
      local room = wanted - handed
      if room <= 0 then
        left_lane = left_lane or entry.lane
        return
      end
      local ids = redis.call('ZRANGE', K .. 'q:' .. entry.lane, '0', int(room))
      for i = 1, math.min(#ids, room) do
        lease_and_start(ids[i], entry.lane)
      end
      if #ids > room then
        left_lane = entry.lane
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
-- Fewer than it has room for: it wants to be told of more. Else its hands are full, or it leaves (none wanted), and
-- a wake-up sent to it would be lost on others.
for _, queue in ipairs(queues) do
  if handed < wanted then
    index_add(K .. 'idle:' .. queue.name, int(now), me)
  else
    index_remove(K .. 'idle:' .. queue.name, me)
  end
end
if #long_inputs > 0 then
  for i = 1, #long_inputs, 2 do
    reply[long_inputs[i + 1]] = redis.call('GET', long_inputs[i])
  end
end
write_hash('claims', me, number)
remember_owner(me, owner)
commit()
-- A worker says so again with every slow poll, so an old entry is one that has gone.
if handed < wanted then
  for _, queue in ipairs(queues) do
    redis.call('ZREMRANGEBYSCORE', K .. 'idle:' .. queue.name, '-inf', int(now - 60000))
  end
end
if left_lane then
  wake(left_lane)
end
return reply
