--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "keys/planned_keys"
--- @include "is_readable"
--- @include "moving/enter_lane"
--- @include "keys/key_alarms"
--- @include "due/tell_again"
--- @include "due/tick_alarm"
--- @include "has_expired"
--- @include "expire"
--- @include "due/expiry_alarm"
-- What an alarm does, by its kind: the first word of its name. A function here is given the rest of the name, and
-- returns when it is to be called again, ms, or nil. It plans, as all others do.
local ALARMS = { tell = tell_again, tick = tick_alarm, expire = expiry_alarm }

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

-- The alarm that rings now goes, unless it is planned again, by itself or by what is looked at.
local rung
local function unlist_rung()
  hooks.ring = nil
  local planned = added[K .. 'alarms'] or {}
  for at = 2, #planned, 2 do
    if planned[at] == rung then
      return
    end
  end
  index_remove(K .. 'alarms', rung)
end

local function ring(alarm)
  local kind, rest = string.match(alarm, '^(%S+) (.*)$')
  local act, again = ALARMS[kind] or key_alarms()[kind], now + UNKNOWN_MS
  if act then
    again = act(rest)
  end
  if again then
    alarm_at(again, nil, alarm)
  end
  rung, hooks.ring = alarm, unlist_rung
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

-- Move what is due into its lane, and then do what alarms ask for: a bounded step, after which the new due time remains
-- to be committed (see bring_due). The rows are one transition and each alarm is one, since an alarm may be about a row
-- that was just moved.
local function bring_all_due(most, was_set_back)
  if was_set_back then
    header[6] = '0'
    look_later(now, nil, 'clock ')
    commit()
  end
  each_due(K .. INDEX[DELAYED], most, bring_row)
  commit()
  each_due(K .. 'alarms', most, ring)
  local first = math.min(first_of(K .. INDEX[DELAYED]), first_of(K .. 'alarms'))
  due_known = first < math.huge and int(first) or false
end
