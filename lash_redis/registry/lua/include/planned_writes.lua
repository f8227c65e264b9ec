--- @include "partition"
--- @include "is_paused"
--- @include "lane_names"
--- @include "wake_one"
--- @include "tell_of_due"
-- Writes are planned while the script reads and checks. `commit` makes them in one order: index additions, keys and
-- rows, removals, messages. A script does not roll back, so nothing may fail between two writes (rule 8.3). A script
-- that makes two transitions, one after the other, commits after each. What is not planned has no table.
local NOTHING_PLANNED = {}
local added, removed, members, fading
local stored, written, plain_ends, written_id, written_row, cleared, dropped, counted, published, woken
local header_set, header_cleared, due_known, due_least, due_queue
-- The keys of lanes and owners, and the directories that list them.
local directories_of, lane_sets, owned_sets = {}, {}, {}
-- What the reply tells its caller beside. It stays when the plan is made, or is made anew.
local notes, followers = {}, nil

local function plan_nothing()
  added, removed, members = {}, {}, {}
  fading, stored, written, written_id, plain_ends = nil, nil, nil, nil, nil
  cleared, dropped, counted, published, woken = nil, nil, nil, nil, nil
  header_set, header_cleared, due_known, due_least, due_queue = nil, nil, header[2], nil, nil
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
  local list = added[key]
  if list then
    local n = #list
    list[n + 1], list[n + 2] = score, id
  else
    added[key] = { score, id }
  end
end

local function index_remove(key, id)
  local list = removed[key]
  if list then
    list[#list + 1] = id
  else
    removed[key] = { id }
  end
end

-- Forget the whole set so long after now, unless it is added to again, and now all of it that has at most this score,
-- if one is given.
local function index_fade(key, upto, after_ms)
  fading = fading or {}
  fading[key] = { upto, after_ms }
end

-- A directory lists the sets that are not empty: of a keyed lane those of its scopes too.
local function lane_set(lane)
  local key = lane_sets[lane]
  if not key then
    key = K .. 'q:' .. lane
    lane_sets[lane], directories_of[key] = key, { name = lane, K .. 'lanes' }
    for scope in string.gmatch(table.concat({ scopes_of(lane) }, ','), '[^,]+') do
      table.insert(directories_of[key], K .. 'scope:' .. scope)
    end
  end
  return key
end

local function owned_set(owner)
  local key = owned_sets[owner]
  if not key then
    key = K .. 'of:' .. owner
    owned_sets[owner], directories_of[key] = key, { name = owner, K .. 'holders' }
  end
  return key
end

-- How many members a set has that a directory lists, as it stands before the commit.
local function how_many_in(key)
  members[key] = members[key] or redis.call('ZCARD', key)
  return members[key]
end

local function store(key, value, expires)
  stored = stored or {}
  local n = #stored
  stored[n + 1], stored[n + 2], stored[n + 3] = key, value, expires or false
end

local function write_hash(name, ...)
  written = written or {}
  written[#written + 1] = { K .. name, ... }
end

-- What is planned for one row by several functions, one after the other, is written by one command.
local function write_row(id, ...)
  if id ~= written_id then
    written = written or {}
    written_id, written_row = id, { K .. 'p:' .. id, ... }
    written[#written + 1] = written_row
    return
  end
  local n, field, value = #written_row, ...
  written_row[n + 1], written_row[n + 2] = field, value
  for i = 3, select('#', ...) do
    written_row[n + i] = (select(i, ...))
  end
end

local function clear_hash(name, ...)
  cleared = cleared or {}
  cleared[#cleared + 1] = { K .. name, ... }
end

local function clear_fields(id, ...)
  cleared = cleared or {}
  cleared[#cleared + 1] = { K .. 'p:' .. id, ... }
end

-- Without a value the field goes.
local function set_header(field, value)
  if value then
    header_set = header_set or {}
    header_set[field] = value
  else
    header_cleared = header_cleared or {}
    header_cleared[#header_cleared + 1] = field
  end
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
  followers = followers or {}
  followers[#followers + 1] = act
end

local function drop(key)
  dropped = dropped or {}
  dropped[#dropped + 1] = key
end

local function count(field, by)
  counted = counted or {}
  counted[field] = (counted[field] or 0) + by
end

local function publish(name, message)
  published = published or {}
  published[#published + 1] = { name, message }
end

local function queue_of(lane)
  return string.match(lane, '^[^|]*')
end

-- Tell one idle worker of the lane's queue that the lane has rows. Of a lane that is paused nobody is told.
local function wake(lane)
  woken = woken or {}
  if woken[lane] == nil then
    woken[lane] = not is_paused(lane)
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
    set_header('due', nil)
  end
  header[2] = due_text
  return is_earlier and due_text
end

-- What is called once all that a script changes is planned: it reads, and plans more (see look, bring_all_due). `write`
-- is called with the writes of keys and rows, and writes what it has planned by itself (see first_leases).
local hooks = {}

local function commit()
  if hooks.look then
    hooks.look()
  end
  if hooks.ring then
    hooks.ring()
  end
  local earlier = plan_header()
  for key, list in pairs(added) do
    local grown, directories = redis.call('ZADD', key, unpack(list)), directories_of[key]
    members[key] = members[key] and members[key] + grown
    for at = 1, directories and #directories or 0 do
      redis.call('ZADD', directories[at], '0', directories.name)
    end
  end
  for key, entry in pairs(fading or NOTHING_PLANNED) do
    redis.call('PEXPIRE', key, int(entry[2]))
  end
  for at = 1, stored and #stored or 0, 3 do
    if stored[at + 2] then
      redis.call('SET', stored[at], stored[at + 1], 'PXAT', stored[at + 2])
    else
      redis.call('SET', stored[at], stored[at + 1])
    end
  end
  for _, fields in ipairs(written or NOTHING_PLANNED) do
    redis.call('HSET', unpack(fields))
  end
  for at = 1, plain_ends and #plain_ends or 0, 4 do
    local key, state, outcome = plain_ends[at], plain_ends[at + 1], plain_ends[at + 2]
    if plain_ends[at + 3] then
      redis.call('HSET', key, 'ph', '', 'ts', state, 'ta', now_text, 'oc', outcome, 'ex', '', 'w', '')
    else
      redis.call('HSET', key, 'ph', '', 'ts', state, 'ta', now_text, 'oc', outcome, 'ex', '')
    end
  end
  if hooks.write then
    hooks.write()
  end
  for field, value in pairs(header_set or NOTHING_PLANNED) do
    redis.call('HSET', K .. 'hdr', field, value)
  end
  for field, by in pairs(counted or NOTHING_PLANNED) do
    if redis.call('HINCRBY', K .. 'counts', field, by) == 0 then
      redis.call('HDEL', K .. 'counts', field)
    end
  end
  for _, fields in ipairs(cleared or NOTHING_PLANNED) do
    redis.call('HDEL', unpack(fields))
  end
  if header_cleared then
    redis.call('HDEL', K .. 'hdr', unpack(header_cleared))
  end
  if dropped then
    redis.call('DEL', unpack(dropped))
  end
  for key, list in pairs(removed) do
    local shrunk, directories = redis.call('ZREM', key, unpack(list)), directories_of[key]
    if directories and shrunk > 0 and (members[key] or redis.call('ZCARD', key) + shrunk) == shrunk then
      for at = 1, #directories do
        redis.call('ZREM', directories[at], directories.name)
      end
    end
  end
  for key, entry in pairs(fading or NOTHING_PLANNED) do
    if entry[1] then
      redis.call('ZREMRANGEBYSCORE', key, '-inf', entry[1])
    end
  end
  for _, entry in ipairs(published or NOTHING_PLANNED) do
    redis.call('PUBLISH', K .. 'to:' .. entry[1], entry[2])
  end
  local nobody_waits = woken and {}
  for lane, is_to_be_told in pairs(woken or NOTHING_PLANNED) do
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
  followers = nil
  for _, act in ipairs(following or NOTHING_PLANNED) do
    act()
    commit()
  end
end
