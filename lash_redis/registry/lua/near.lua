-- near: find a lane that is served and like one that is not: its task in another queue, or one of the same last part.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  how long ago a worker that serves it made its last call, at most, ms   ARGV 2 lane
-- reply   NEAR lane ('' if there is none)
-- bound   2000 names of lanes, of the 16 lists of the latest calls, each read once: about 3 ms
--- @include "partition"
local age, lane = unpack(ARGV)
local MAX_LISTS, MAX_NAMES = 16, 2000
local since, most = int(now - tonumber(age)), int(MAX_LISTS)

-- Nil twice for a lane of a newer release, and for one of rows that run alone, which stands there without that too.
local function parts(text)
  return string.match(text, '^([^|]+)|([^|]*)|[^|]*$')
end

local function last_part(task)
  return string.match(task, '[^.]*$')
end

local queue, task = parts(lane)
local ending = last_part(task or '') .. '|'

-- The same task in another queue comes first, then one whose last part is the same: in this queue, then in another.
local function nearness(other)
  local other_queue, other_task = parts(other)
  if other_task == task then
    return 3
  elseif other_task and last_part(other_task) .. '|' == ending then
    return other_queue == queue and 2 or 1
  end
  return 0
end

local best, nearest, left = 0, '', ending ~= '|' and MAX_NAMES or 0
for _, list in ipairs(redis.call('ZRANGE', K .. 'lists', '+inf', since, 'BYSCORE', 'REV', 'LIMIT', '0', most)) do
  if left == 0 or best == 3 then
    break
  end
  local others = redis.call('ZRANGE', K .. 'serves:' .. list, '0', int(left - 1))
  left = left - #others
  for _, other in ipairs(others) do
    local found = string.find(other, ending, 1, true) and nearness(other) or 0
    if found > best then
      best, nearest = found, other
    end
  end
end
return { 'NEAR', nearest }
