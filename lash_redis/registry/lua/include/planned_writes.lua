--- @include "partition"
--- @include "is_paused"
--- @include "lane_names"
-- Writes are planned while the script reads and checks. `commit` makes them in one order: index additions, keys and
-- rows, removals, messages. A script does not roll back, so nothing may fail between two writes (rule 8.3). A script
-- that makes two transitions, one after the other, commits after each.
local added, removed, trimmed, expiring
local directories_of, members
local stored, written, cleared, dropped, counted, published, woken
local header_set, header_cleared, due_known, due_least, due_queue, rung
-- What the reply tells its caller beside. It stays when the plan is made, or is made anew.
local notes, followers = {}, {}

local function plan_nothing()
  added, removed, trimmed, expiring = {}, {}, {}, {}
  directories_of, members = {}, {}
  stored, written, cleared, dropped, counted, published, woken = {}, {}, {}, {}, {}, {}, {}
  header_set, header_cleared, due_known, due_least, due_queue, rung = {}, {}, header[2], nil, nil, nil
end
plan_nothing()

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
  local n = #list
  list[n + 1], list[n + 2] = score, id
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
local function list_in(key, name, ...)
  directories_of[key] = { name = name, ... }
  members[key] = redis.call('ZCARD', key)
end

-- A keyed lane is listed for each of its scopes too.
local function lane_set(lane)
  local key = K .. 'q:' .. lane
  if not directories_of[key] then
    list_in(key, lane, K .. 'lanes')
    for scope in string.gmatch(table.concat({ scopes_of(lane) }, ','), '[^,]+') do
      table.insert(directories_of[key], K .. 'scope:' .. scope)
    end
  end
  return key
end

local function owned_set(owner)
  local key = K .. 'of:' .. owner
  if not directories_of[key] then
    list_in(key, owner, K .. 'holders')
  end
  return key
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

local function set_header(field, value)
  header_set[field] = value
end

local function clear_header(field)
  header_cleared[#header_cleared + 1] = field
end

-- Something becomes due then. If nothing else becomes due before, the watcher is told, and an idle worker of the queue.
local function plan_due(at, queue)
  if not due_least or at < due_least then
    due_least, due_queue = at, queue
  end
end

-- List an alarm: what a script is to do when that time has come (see bring_due).
local function alarm_at(at, queue, alarm)
  index_add(K .. 'alarms', int(at), alarm)
  plan_due(at, queue)
end

-- Have something done once what is planned now is committed: a transition that follows from it, and sees its writes.
local function follow(act)
  followers[#followers + 1] = act
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

local function queue_of(lane)
  return string.match(lane, '^[^|]*')
end

-- Tell one idle worker of the lane's queue that the lane has rows. Of a lane that is paused nobody is told.
local function wake(lane)
  if woken[lane] == nil then
    woken[lane] = not is_paused(lane)
  end
end

-- Tell one idle worker of a queue, and return it. One that nobody hears is passed over (rule 9.4).
local function wake_one(queue, message)
  for _ = 1, 16 do
    local worker = redis.call('ZPOPMIN', K .. 'idle:' .. queue)[1]
    if not worker or redis.call('PUBLISH', K .. 'to:' .. worker, message) > 0 then
      return worker
    end
  end
end

-- Tell the watcher when something becomes due, and an idle worker of the queue, which comes a little later: one of them
-- may die. Without a watcher two idle workers are told, and the first that asks becomes it.
local function tell_of_due(due, queue)
  local watcher = header[3]
  local heard = watcher and redis.call('PUBLISH', K .. 'to:' .. watcher, 'due ' .. due) > 0 and 1 or 0
  while queue and heard < 2 do
    local worker = wake_one(queue, 'due ' .. due)
    queue = worker and queue
    heard = heard + (worker == watcher and 0 or 1)
  end
end

-- The header says when the next thing becomes due: never later than it does. `due_known` is what stands there, or what
-- bring_due found. Return it if a worker should know of it.
local function plan_header()
  local next_due = tonumber(due_known)
  local is_earlier = due_least and (not next_due or due_least < next_due)
  if is_earlier then
    next_due = due_least
  end
  local due_text = next_due and int(next_due) or false
  if due_text and due_text ~= header[2] then
    set_header('due', due_text)
  elseif header[2] and not due_text then
    clear_header('due')
  end
  header[2] = due_text
  return is_earlier and due_text
end

-- The alarm that rings now goes, unless it is planned again, by itself or by what is looked at.
local function plan_rung()
  local planned = added[K .. 'alarms'] or {}
  for at = 2, #planned, 2 do
    if planned[at] == rung then
      return
    end
  end
  if rung then
    index_remove(K .. 'alarms', rung)
  end
end

-- What is looked at once all that a script changes is planned: it reads, and plans more (see look).
local hooks = {}

local function commit()
  if hooks.look then
    hooks.look()
  end
  plan_rung()
  local earlier = plan_header()
  for key, list in pairs(added) do
    local grown = redis.call('ZADD', key, unpack(list))
    local directories = directories_of[key]
    if directories then
      for _, directory in ipairs(members[key] == 0 and directories or {}) do
        redis.call('ZADD', directory, '0', directories.name)
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
  for field, value in pairs(header_set) do
    redis.call('HSET', K .. 'hdr', field, value)
  end
  for field, by in pairs(counted) do
    if redis.call('HINCRBY', K .. 'counts', field, by) == 0 then
      redis.call('HDEL', K .. 'counts', field)
    end
  end
  for _, fields in ipairs(cleared) do
    redis.call('HDEL', unpack(fields))
  end
  if #header_cleared > 0 then
    redis.call('HDEL', K .. 'hdr', unpack(header_cleared))
  end
  if #dropped > 0 then
    redis.call('DEL', unpack(dropped))
  end
  for key, list in pairs(removed) do
    local shrunk = redis.call('ZREM', key, unpack(list))
    local directories = directories_of[key]
    if directories and shrunk > 0 and members[key] == shrunk then
      for _, directory in ipairs(directories) do
        redis.call('ZREM', directory, directories.name)
      end
    end
  end
  for _, entry in ipairs(trimmed) do
    redis.call('ZREMRANGEBYSCORE', entry[1], '-inf', entry[2])
  end
  for _, entry in ipairs(published) do
    redis.call('PUBLISH', K .. 'to:' .. entry[1], entry[2])
  end
  local nobody_waits = {}
  for lane, is_to_be_told in pairs(woken) do
    local queue = queue_of(lane)
    if is_to_be_told and not nobody_waits[queue] then
      nobody_waits[queue] = not wake_one(queue, 'lane ' .. lane)
    end
  end
  if earlier then
    tell_of_due(earlier, due_queue)
  end
  plan_nothing()
  local following = followers
  followers = {}
  for _, act in ipairs(following) do
    act()
    commit()
  end
end
