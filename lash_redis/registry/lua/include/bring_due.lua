--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "enter_lane"
--- @include "key_alarms"
--- @include "tick_alarm"
-- What an alarm does, by its kind: the first word of its name. A function here is given the rest of the name, and
-- returns when it is to be called again, ms, or nil. It plans, as all others do.
local ALARMS = { tick = tick_alarm }
for kind, act in pairs(key_alarms()) do
  ALARMS[kind] = act
end

-- How long an alarm of a kind that only a newer release knows waits before it is looked at again.
local UNKNOWN_ALARM_MS = 60000

local function bring_row(id)
  local row = read_row(id)
  if not row or row.place ~= DELAYED then
    index_remove(K .. INDEX[DELAYED], id)
  elseif number_in(row.due) > now then
    index_add(K .. INDEX[DELAYED], row.due, id)
    plan_due(number_in(row.due), queue_of(row.lane))
  else
    enter_lane(row)
  end
end

local function ring(alarm)
  local kind, rest = string.match(alarm, '^(%S+) (.*)$')
  local act, again = ALARMS[kind], now + UNKNOWN_ALARM_MS
  if act then
    again = act(rest)
  end
  if again then
    alarm_at(again, nil, alarm)
  else
    index_remove(K .. 'alarms', alarm)
  end
end

-- Do what has become due in one index, at most so much of it; return when the next of it becomes due.
local function bring_from(key, most, bring)
  local found = redis.call('ZRANGE', key, '0', int(most), 'WITHSCORES')
  for i = 1, #found, 2 do
    local at = tonumber(found[i + 1])
    if at > now or i > 2 * most then
      return at
    end
    bring(found[i])
  end
end

-- Move what is due into its lane and do what alarms ask for, in the order of their times: a bounded step. Nothing is
-- read while nothing is due. Whoever calls this commits.
local function bring_due(most)
  if not header[2] or tonumber(header[2]) > now then
    return false
  end
  local next_row = bring_from(K .. INDEX[DELAYED], most, bring_row)
  local next_alarm = bring_from(K .. 'alarms', most, ring)
  local first = math.min(next_row or math.huge, next_alarm or math.huge)
  due_known = first < math.huge and int(first) or false
  return true
end
