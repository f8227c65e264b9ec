--- @include "partition"
--- @include "planned_writes"
--- @include "wake_if_any"
--- @include "keys/planned_keys"
--- @include "lane_names"
--- @include "keys/passes"
--- @include "keys/look_in_scope"
--- @include "keys/look_in_sequence"
-- Every script that changes a key's rows, slots, window or policy ends with this, the only writer of rotation and park
-- (rule 9.12): a key stands in its lane's rotation if its first row may start, and is parked if it has rows and that
-- one may not. What frees a slot looks at the key in every lane of the scope.

-- Who is next is waited for from when there is room for it; what waits for that is looked at when it did not come.
local function plan_next(slots)
  local waiting = slots.waiting
  if not waiting or not (waiting[1] or waiting.has_changed) then
    return
  end
  local first, key = waiting[1], K .. 'next:' .. slots.scope .. ' ' .. slots.key
  if first then
    local has_room = policy_of(slots.scope).limit - slots.taken >= first.cost
    if has_room and waiting.since == 0 then
      waiting.since, waiting.has_changed = now, true
      look_at_turns(slots, now + WAITED_FOR_MS)
    elseif not has_room and waiting.since > 0 then
      waiting.since, waiting.has_changed = 0, true
    end
  end
  if waiting.has_changed and first then
    local words = { int(waiting.since) }
    for _, each in ipairs(waiting) do
      table.insert(words, int(each.cost) .. ' ' .. each.lane)
    end
    store(key, table.concat(words, ' '), int(now + NEXT_LIVES_MS))
  elseif waiting.has_changed then
    drop(key)
  end
end

local function plan_slots(slots)
  -- Who is not waited for any more, since uncertain rows leave it no room, leaves room for others.
  local has_room = slots.taken < slots.before or slots.uncertain > slots.uncertain_before
  look_in_scope(slots.scope, slots.key, '', has_room)
  if slots.taken <= 0 then
    drop(slots.set)
    return
  end
  for id, cost in pairs(slots.given) do
    index_add(slots.set, int(cost), id)
    slots.freed[id] = nil
  end
  index_add(slots.set, int(slots.taken), '')
  if slots.uncertain > 0 then
    index_add(slots.set, int(slots.uncertain), '?')
  elseif slots.uncertain_before > 0 then
    slots.freed['?'] = true
  end
  for id in pairs(slots.freed) do
    index_remove(slots.set, id)
  end
end

-- A key that waits for its own window is parked with an alarm of its own (see place_key).
local function plan_window(window)
  store(window.set, int(window.opened) .. ' ' .. int(window.starts), int(window.ends))
  if window.key == '' and window.starts >= policy_of(window.scope).starts then
    look_later(window.ends, nil, 'window ' .. window.scope)
  end
end

local function plan_rows(entry, head)
  local has_gone = false
  for member, score in pairs(entry.added) do
    index_add(entry.set, int(score), member)
    entry.gone[member] = nil
  end
  for member in pairs(entry.gone) do
    has_gone = true
    if head then
      index_remove(entry.set, member)
    end
  end
  if has_gone and not head then
    drop(entry.set)
  end
end

-- Whether a lane has no rows after what is planned.
local function is_emptied(lane)
  local set = lane_set(lane)
  return not added[set] and #(removed[set] or {}) >= how_many_in(set)
end

-- A key has no rows in a lane any more, or a lane has none: it is not waited for there, and the others are looked at.
local function wait_no_more(scope, key, lane)
  local slots = scope ~= '' and not sequence_named(scope) and policy_of(scope).limit > 0 and slots_of(scope, key)
  if slots and wait_no_longer(slots, lane, true) then
    look_at_turns(slots, now + 1)
  end
end

-- Put one key where it belongs. One that has no rows stands nowhere, and one in rotation stays there if it has got
-- room.
local function place_key(entry, turn, has_turn, park, is_parked)
  if not (has_turn or is_parked or next(entry.added)) or (has_turn and not entry.has_changed) then
    return
  end
  local lane, key = entry.lane, entry.key
  local head = head_of(entry)
  local fits, opens_at = true, nil
  local scope, for_all = scopes_of(lane)
  if head and scope ~= '' then
    fits, opens_at = passes(scope, key, head, lane)
  end
  if head and fits and (entry.turn or not has_turn) then
    index_add(turn, int(entry.turn or next_turn(lane)), key)
  elseif has_turn and not (head and fits) then
    index_remove(turn, key)
  end
  if head and not fits and not is_parked then
    index_add(park, '0', key)
  elseif is_parked and (fits or not head) then
    index_remove(park, key)
  end
  if head and fits and not has_turn then
    wake_if_any(lane)
  elseif head and opens_at and not entry.rings_again then
    look_later(opens_at, queue_of(lane), 'key ' .. lane .. ' ' .. key)
  elseif not head then
    wait_no_more(scope, key, lane)
    wait_no_more(is_emptied(lane) and for_all or '', '', lane)
  end
  plan_rows(entry, head)
end

-- Whether members stand in a set of keys, asked for as many as one command takes.
local function stand_in(set, keys)
  local scores = {}
  for from = 1, #keys, MAX_BATCH do
    local found = redis.call('ZMSCORE', set, unpack(keys, from, math.min(#keys, from + MAX_BATCH - 1)))
    for i = 1, #found do
      scores[from + i - 1] = found[i]
    end
  end
  return scores
end

-- A key that has got room is concerned if it is parked. Most are not, and nothing more is read of them.
local function look_at_park()
  for lane, keys in pairs(planned_keys.with_room) do
    for at, score in pairs(stand_in(K .. 'parked:' .. lane, keys)) do
      if score then
        key_in(lane, keys[at]).is_concerned = true
      end
    end
  end
end

local function look()
  for _, slots in ipairs(planned_slots) do
    if slots.has_changed then
      plan_slots(slots)
    end
  end
  for _, window in ipairs(planned_windows) do
    if window.has_changed then
      plan_window(window)
    end
  end
  for _, sequence in ipairs(planned_sequences) do
    if sequence.has_changed then
      plan_rows(sequence, look_in_sequence(sequence))
    end
  end
  look_at_park()
  local by_lane, keys = {}, {}
  for _, entry in ipairs(planned_keys) do
    if entry.has_changed or entry.is_concerned then
      local of_lane, names = list_for(by_lane, entry.lane), list_for(keys, entry.lane)
      local n = #names + 1
      of_lane[n], names[n] = entry, entry.key
    end
  end
  for lane, entries in pairs(by_lane) do
    local turn, park = K .. 'turn:' .. lane, K .. 'parked:' .. lane
    local turns, parks = stand_in(turn, keys[lane]), stand_in(park, keys[lane])
    for at, entry in ipairs(entries) do
      place_key(entry, turn, turns[at], park, parks[at])
    end
  end
  for _, slots in ipairs(planned_slots) do
    plan_next(slots)
  end
  forget_keys()
  hooks.look = nil
end
