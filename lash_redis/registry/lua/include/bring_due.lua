--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "planned_keys"
--- @include "is_readable"
--- @include "enter_lane"
--- @include "key_alarms"
--- @include "tell_again"
--- @include "tick_alarm"
--- @include "has_expired"
--- @include "expire"
--- @include "expiry_alarm"
-- What an alarm does, by its kind: the first word of its name. A function here is given the rest of the name, and
-- returns when it is to be called again, ms, or nil. It plans, as all others do.
local ALARMS = { tell = tell_again, tick = tick_alarm, expire = expiry_alarm }
for kind, act in pairs(key_alarms()) do
  ALARMS[kind] = act
end

-- How long something that only a newer release can read waits before it is looked at again.
local UNKNOWN_MS = 60000

local function bring_row(id)
  local row = read_row(id)
  if not row or row.place ~= DELAYED then
    index_remove(K .. INDEX[DELAYED], id)
  elseif not is_readable(row) then
    index_add(K .. INDEX[DELAYED], int(now + UNKNOWN_MS), id)
  elseif has_expired(row) then
    expire(row)
  elseif number_in(row.due) > now then
    index_add(K .. INDEX[DELAYED], row.due, id)
  else
    enter_lane(row)
  end
end

local function ring(alarm)
  local kind, rest = string.match(alarm, '^(%S+) (.*)$')
  local act, again = ALARMS[kind], now + UNKNOWN_MS
  if act then
    again = act(rest)
  end
  if again then
    alarm_at(again, nil, alarm)
  end
  rung = alarm
  commit()
end

-- Call a function with each member of an index whose time has come, in the order of their times, at most so many.
local function each_due(key, most, bring)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', now_text, 'LIMIT', '0', int(most))) do
    bring(member)
  end
end

local function first_of(key)
  local score = redis.call('ZRANGE', key, '0', '0', 'WITHSCORES')[2]
  return score and tonumber(score) or math.huge
end

-- Move what is due into its lane, and then do what alarms ask for: a bounded step. Nothing is read while nothing is
-- due, unless the clock was set back. The rows are one transition and each alarm is one, since an alarm may be about a
-- row that was just moved. They are committed here; whoever calls this commits what remains, the new due time.
local function bring_due(most)
  if header[6] and tonumber(header[6]) > now then
    header[6] = '0'
    look_later(now, nil, 'clock ')
    commit()
  end
  if not header[2] or tonumber(header[2]) > now then
    return false
  end
  each_due(K .. INDEX[DELAYED], most, bring_row)
  commit()
  each_due(K .. 'alarms', most, ring)
  local first = math.min(first_of(K .. INDEX[DELAYED]), first_of(K .. 'alarms'))
  due_known = first < math.huge and int(first) or false
  return true
end
