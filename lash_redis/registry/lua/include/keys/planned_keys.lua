--- @include "partition"
--- @include "planned_writes"
-- What a script knows of the keys that it touches, and what it plans for them: their rows in a lane, the slots that
-- their rows have, and their windows. Each is read once. `look` plans the writes (rule 9.12).
local MAX_LANES = 100
local policies, planned_keys, planned_slots, planned_windows, lanes_by_scope, last_turns
local planned_sequences

-- Each list has what was read in that order, and under two names, of which the second is a key.
local function forget_keys()
  policies, lanes_by_scope, last_turns = {}, {}, {}
  planned_keys, planned_slots, planned_windows = { of = {}, with_room = {} }, { of = {} }, { of = {} }
  planned_sequences = { of = {} }
end
forget_keys()

local function remembered(list, name, key)
  local of_name = list.of[name]
  return of_name and of_name[key]
end

local function remember(list, name, key, made)
  list_for(list.of, name)[key], list[#list + 1] = made, made
  return made
end

-- A policy as it stands under its name (see name_policies); 0 stands for no limit and for no rate.
local function policy_of(scope)
  local policy = policies[scope]
  if not policy then
    local text = redis.call('HGET', K .. 'policies', scope) or ''
    local limit, starts, window = string.match(text, '^%d+ %d+ (%d+) (%d+) (%d+)')
    policy = { limit = tonumber(limit or '0'), starts = tonumber(starts or '0'), window = tonumber(window or '0') }
    policies[scope] = policy
  end
  return policy
end

-- The lanes of a scope that are not empty, from one of them on: so many, and one more if there are more.
local function lanes_of(scope, after)
  local name = scope .. ' ' .. after
  if not lanes_by_scope[name] then
    local from = after == '' and '-' or '(' .. after
    local most = int(MAX_LANES + 1)
    lanes_by_scope[name] = redis.call('ZRANGEBYLEX', K .. 'scope:' .. scope, from, '+', 'LIMIT', '0', most)
  end
  return lanes_by_scope[name]
end

-- Only lanes that share a scope wait for each other.
local function has_sharers(scope)
  local policy = policy_of(scope)
  if policy.has_sharers == nil then
    policy.has_sharers = #lanes_of(scope, '') > 1
  end
  return policy.has_sharers
end

-- The slots of one key of a scope: who has how many, how many are taken in all (which stands under no id), and how many
-- of these by uncertain rows (under '?'). What a row has is asked with them, if it is the first that is looked at.
local function slots_of(scope, key, id)
  local slots = remembered(planned_slots, scope, key)
  if slots then
    return slots
  end
  local set = K .. 'slots:' .. scope .. ' ' .. key
  local scores = redis.call('ZMSCORE', set, '', '?', id or '')
  local taken, uncertain = tonumber(scores[1] or '0'), tonumber(scores[2] or '0')
  return remember(planned_slots, scope, key, {
    scope = scope, key = key, set = set, given = {}, freed = {}, asked = id, cost = scores[3],
    taken = taken, before = taken, uncertain = uncertain, uncertain_before = uncertain,
  })
end

-- How many slots a row has, as it is planned or stands there; nil if it has none.
local function cost_in(slots, id)
  local cost = slots.given[id]
  if not cost and not slots.freed[id] then
    cost = tonumber((slots.asked == id and slots.cost or redis.call('ZMSCORE', slots.set, id)[1]) or '')
  end
  return cost
end

-- The lanes that were refused slots of a key, the first of them first, each with how many it needs. The first one is
-- waited for before others take any; since when there is room for it (0: there is none, or the clock was set back).
-- Only lanes that share a scope wait for each other. What was noted while they did is read `even_if_alone`.
local WAITED_FOR_MS, NEXT_LIVES_MS = 1000, 86400000
local NOBODY = { since = 0 }
local function waiting_for(slots, even_if_alone)
  if not (slots.waiting or even_if_alone or has_sharers(slots.scope)) then
    slots.waiting = NOBODY
  elseif not slots.waiting or (even_if_alone and not slots.waiting.is_read) then
    local text = text_at(K .. 'next:' .. slots.scope .. ' ' .. slots.key) or ''
    local since = tonumber(string.match(text, '^%d+') or '0')
    slots.waiting = { since = since <= now and since or 0, is_read = true }
    for cost, lane in string.gmatch(text, ' (%d+) (%S+)') do
      table.insert(slots.waiting, { lane = lane, cost = tonumber(cost) })
    end
  end
  return slots.waiting
end

-- A lane is refused slots. One that did not come when it was waited for is waited for again once a claim has named it.
local function wait_in(slots, lane, cost)
  local waiting = waiting_for(slots)
  for _, other in ipairs(waiting) do
    if other.lane == lane then
      return
    end
  end
  if has_sharers(slots.scope) and not text_at(K .. 'away:' .. lane) then
    table.insert(waiting, { lane = lane, cost = cost })
    waiting.has_changed = true
  end
end

-- A lane has its slots, needs none, or did not come for them. Return whether it waited.
local function wait_no_longer(slots, lane, even_if_alone)
  local waiting = waiting_for(slots, even_if_alone)
  for at, other in ipairs(waiting) do
    if other.lane == lane then
      table.remove(waiting, at)
      waiting.since, waiting.has_changed = at > 1 and waiting.since or 0, true
      return true
    end
  end
  return false
end

-- An alarm by which keys are looked at later. The header says when the last one was set. If the clock is before that,
-- it was set back, and what is parked is looked at without its alarm (see bring_due).
local function look_later(at, queue, alarm)
  alarm_at(at, queue, alarm)
  if now > tonumber(header[6] or '0') then
    header[6] = now_text
    set_header('clock', now_text)
  end
end

-- What waits for a lane that does not come any more is looked at in the next step.
-- The alarm has its time in its name, so that a later one does not take the place of an earlier one.
local function look_at_turns(slots, at)
  look_later(at, nil, table.concat({ 'turns', int(at), slots.scope, slots.key }, ' '))
end

-- The window of one key of a scope. One that the clock does not lie in has ended, whatever the clock did.
local function window_of(scope, key)
  local known = remembered(planned_windows, scope, key)
  if known then
    return known
  end
  local set = K .. 'window:' .. scope .. ' ' .. key
  local opened, starts = string.match(text_at(set) or '', '^(%d+) (%d+)$')
  local window = { scope = scope, key = key, set = set }
  window.opened, window.starts = tonumber(opened or '0'), tonumber(starts or '0')
  window.ends = window.opened + policy_of(scope).window
  if now < window.opened or now >= window.ends then
    window.starts = 0
  end
  return remember(planned_windows, scope, key, window)
end

-- One key in one lane: its queued rows, as they stand there and as this script changes them.
local function key_in(lane, key)
  return remembered(planned_keys, lane, key) or remember(planned_keys, lane, key, {
    lane = lane, key = key, set = K .. 'k:' .. lane .. ' ' .. key, added = {}, gone = {}, at = 1,
  })
end

-- A key may have more room in a lane. That concerns it if it is parked there, which is asked for many at once.
local function has_room_in(lane, key)
  local known = remembered(planned_keys, lane, key)
  if known then
    known.is_concerned = true
    return
  end
  local keys = list_for(planned_keys.with_room, lane)
  keys[#keys + 1] = key
end

-- The rows that stand in the sequence of a key, in all lanes, by their number: those that run, and of one that halts
-- those that are uncertain or were abandoned and are not resolved (rule 9.13). `lanes` has the lanes of rows that this
-- script moves.
local function sequence_in(name, key)
  return remembered(planned_sequences, name, key) or remember(planned_sequences, name, key, {
    name = name, key = key, set = K .. 'seq:' .. name .. ' ' .. key, added = {}, gone = {}, at = 1, lanes = {},
  })
end

-- What a row is called among those of its key: what it costs can be seen there.
local function member_of(id, cost)
  return (cost or '1') == '1' and id or id .. ' ' .. cost
end

-- Read the rows of a key, from so many on.
local READ_AT_ONCE = 2
local function rows_from(entry, first)
  local found = redis.call('ZRANGE', entry.set, int(first), int(first + READ_AT_ONCE - 1), 'WITHSCORES')
  entry.found, entry.at, entry.read = found, 1, first + READ_AT_ONCE
  entry.is_whole = #found < 2 * READ_AT_ONCE
  return found
end

-- The first row of a key after what is planned, and its score; nil if there is none.
local function head_of(entry)
  local found = entry.found or rows_from(entry, 0)
  local head = found[entry.at]
  while head and entry.gone[head] or not head and not entry.is_whole do
    if head then
      entry.at = entry.at + 2
    else
      found = rows_from(entry, entry.read)
    end
    head = found[entry.at]
  end
  local score = head and tonumber(found[entry.at + 1])
  for member, at in pairs(entry.added) do
    if not head or at < score or (at == score and member < head) then
      head, score = member, at
    end
  end
  return head, score
end

-- The number behind all that stand in a lane's rotation.
local function next_turn(lane)
  if not last_turns[lane] then
    local key = K .. 'turn:' .. lane
    local size = redis.call('ZCARD', key)
    local last = size > 0 and redis.call('ZRANGE', key, int(size - 1), int(size - 1), 'WITHSCORES')[2]
    last_turns[lane] = tonumber(last or '0')
  end
  last_turns[lane] = last_turns[lane] + 1
  return last_turns[lane]
end
