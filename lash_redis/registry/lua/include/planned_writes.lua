--- @include "partition"
-- Writes are planned while the script reads and checks. `commit` makes them in one order: index additions, keys and
-- rows, removals, messages. A script does not roll back, so nothing may fail between two writes (rule 8.3).
local added, removed, trimmed, expiring = {}, {}, {}, {}
local directory_of, members = {}, {}
local stored, written, cleared, dropped, counted, published, woken = {}, {}, {}, {}, {}, {}, {}
local idle_workers = {}

local function list_for(lists, key)
  local list = lists[key]
  if not list then
    list = {}
    lists[key] = list
  end
  return list
end

local function index_add(key, score, id)
  local list = list_for(added, key)
  list[#list + 1] = score
  list[#list + 1] = id
end

local function index_remove(key, id)
  local list = list_for(removed, key)
  list[#list + 1] = id
end

-- Remove all that has at most this score.
local function index_trim(key, upto)
  trimmed[#trimmed + 1] = { key, upto }
end

-- Forget the whole set so long after now, unless it is added to again.
local function index_expire(key, after_ms)
  expiring[key] = after_ms
end

-- A directory lists the sets that are not empty. How many members a set has is read now.
local function listed(key, directory, name)
  if not directory_of[key] then
    directory_of[key] = { key = directory, name = name }
    members[key] = redis.call('ZCARD', key)
  end
  return key
end

local function lane_set(lane)
  return listed(K .. 'q:' .. lane, K .. 'lanes', lane)
end

local function owned_set(owner)
  return listed(K .. 'of:' .. owner, K .. 'holders', owner)
end

local function store(key, value, expires)
  stored[#stored + 1] = { key, value, expires }
end

local function write_hash(name, ...)
  written[#written + 1] = { K .. name, ... }
end

-- What is planned for one row by several functions, one after the other, is written by one command.
local function write_row(id, ...)
  local key, last = K .. 'p:' .. id, written[#written]
  if not last or last[1] ~= key then
    written[#written + 1] = { key, ... }
    return
  end
  local more, n = { ... }, #last
  for i = 1, #more do
    last[n + i] = more[i]
  end
end

local function clear_hash(name, ...)
  cleared[#cleared + 1] = { K .. name, ... }
end

local function clear_fields(id, ...)
  cleared[#cleared + 1] = { K .. 'p:' .. id, ... }
end

local function drop(key)
  dropped[#dropped + 1] = key
end

local function count(field, by)
  counted[field] = (counted[field] or 0) + by
end

local function publish(name, message)
  published[#published + 1] = { name, message }
end

local function idle_set(lane)
  return K .. 'idle:' .. string.match(lane, '^[^|]*')
end

-- Tell one idle worker of the lane's queue that the lane has rows. Whether there is one is read now, and returned.
local function wake(lane)
  local key = idle_set(lane)
  if not idle_workers[key] then
    idle_workers[key] = redis.call('ZCARD', key)
  end
  woken[lane] = idle_workers[key] > 0
  return woken[lane]
end

-- A worker that nobody hears is passed over (rule 9.4).
local function wake_one(lane)
  for _ = 1, 16 do
    local worker = redis.call('ZPOPMIN', idle_set(lane))[1]
    if not worker or redis.call('PUBLISH', K .. 'to:' .. worker, 'lane ' .. lane) > 0 then
      return
    end
  end
end

local function commit()
  for key, list in pairs(added) do
    local grown = redis.call('ZADD', key, unpack(list))
    local directory = directory_of[key]
    if directory then
      if members[key] == 0 then
        redis.call('ZADD', directory.key, '0', directory.name)
      end
      members[key] = members[key] + grown
    end
  end
  for key, after_ms in pairs(expiring) do
    redis.call('PEXPIRE', key, int(after_ms))
  end
  for _, entry in ipairs(stored) do
    if entry[3] then
      redis.call('SET', entry[1], entry[2], 'PXAT', entry[3])
    else
      redis.call('SET', entry[1], entry[2])
    end
  end
  for _, fields in ipairs(written) do
    redis.call('HSET', unpack(fields))
  end
  for field, by in pairs(counted) do
    if redis.call('HINCRBY', K .. 'counts', field, by) == 0 then
      redis.call('HDEL', K .. 'counts', field)
    end
  end
  for _, fields in ipairs(cleared) do
    redis.call('HDEL', unpack(fields))
  end
  if #dropped > 0 then
    redis.call('DEL', unpack(dropped))
  end
  for key, list in pairs(removed) do
    local shrunk = redis.call('ZREM', key, unpack(list))
    local directory = directory_of[key]
    if directory and shrunk > 0 and members[key] == shrunk then
      redis.call('ZREM', directory.key, directory.name)
    end
  end
  for _, entry in ipairs(trimmed) do
    redis.call('ZREMRANGEBYSCORE', entry[1], '-inf', entry[2])
  end
  for _, entry in ipairs(published) do
    redis.call('PUBLISH', K .. 'to:' .. entry[1], entry[2])
  end
  for lane, somebody_waits in pairs(woken) do
    if somebody_waits then
      wake_one(lane)
    end
  end
end
