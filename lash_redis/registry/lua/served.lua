-- served: say of each lane whether a worker that lives serves it, and what near it is served.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  how long ago a worker that lives made its last call, at most, ms   ARGV 2.. lanes
-- reply   SERVED lists (how, near) x lanes
--         lists: how many lists of lanes are served; how: '1' the lane is served, '2' its task is with other
--         signatures only, '0' by nobody; near: a lane of a task like it that is served, or ''
-- bound   lanes <= 500, the 64 lists of the latest calls; what is near: 500 lanes of 16 of them
--- @include "partition"
local MAX_LISTS, MAX_LOOKED_THROUGH = 64, 16
local age = tonumber(ARGV[1])

local since, most = int(now - age), int(MAX_LISTS)
local lists = redis.call('ZRANGE', K .. 'lists', '+inf', since, 'BYSCORE', 'REV', 'LIMIT', '0', most)

local function parts(lane)
  return string.match(lane, '^([^|]*)|([^|]*)|')
end

local function last_part(task)
  return string.match(task, '[^.]*$')
end

-- A list has the lane of a task without a signature whenever it has another one of that task.
local function how_served(lane)
  local queue, task = parts(lane)
  local how = '0'
  for _, list in ipairs(lists) do
    local scores = redis.call('ZMSCORE', K .. 'serves:' .. list, lane, queue .. '|' .. task .. '|')
    if scores[1] then
      return '1'
    elseif scores[2] then
      how = '2'
    end
  end
  return how
end

-- The same task in another queue comes first, then one whose last part is the same: in this queue, then in another.
local function nearness(lane, queue, task)
  local other_queue, other_task = parts(lane)
  if other_task == task then
    return 3
  elseif other_task and other_task ~= '' and last_part(other_task) == last_part(task) then
    return other_queue == queue and 2 or 1
  end
  return 0
end

local function near(lane)
  local queue, task = parts(lane)
  local best, nearest = 0, ''
  for at = 1, task ~= '' and math.min(#lists, MAX_LOOKED_THROUGH) or 0 do
    for _, other in ipairs(redis.call('ZRANGE', K .. 'serves:' .. lists[at], '0', int(MAX_BATCH - 1))) do
      local found = nearness(other, queue, task)
      if found > best then
        best, nearest = found, other
      end
    end
  end
  return nearest
end

local reply = { 'SERVED', int(#lists) }
for at = 2, #ARGV do
  local how = how_served(ARGV[at])
  reply[#reply + 1] = how
  reply[#reply + 1] = how == '0' and near(ARGV[at]) or ''
end
return reply
