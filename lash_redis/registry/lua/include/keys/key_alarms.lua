--- @include "partition"
--- @include "planned_writes"
--- @include "wake_if_any"
--- @include "keys/planned_keys"
--- @include "lane_names"
--- @include "keys/look"
--- @include "keys/look_in_scope"
-- What is to be done later for keys, or in bounded steps, by the alarm's kind (see bring_due).
local function look_at(lane, key)
  hooks.look = look
  local entry = key_in(lane, key)
  entry.has_changed = true
  return entry
end

-- A key's window ends. It is looked at once more by the same alarm if it has not ended, whatever the clock did.
local function on_window_of_key(rest)
  local lane, key = string.match(rest, '^(%S+) (.*)$')
  local scope = scopes_of(lane)
  local policy, window = policy_of(scope), window_of(scope, key)
  local entry = look_at(lane, key)
  if policy.starts > 0 and window.starts >= policy.starts then
    entry.rings_again = true
    look_later(window.ends, nil, 'key ' .. rest)
  end
end

-- The window of a limit that all keys share ends: no key was parked for it, so that only workers are told.
local function on_window_of_all(scope)
  look_in_scope(scope, '', '', true)
end

-- Slots have changed in a scope with more lanes than one step looks at.
local function on_slots(rest)
  local scope, after, key = string.match(rest, '^(%S+) (%S*) (.*)$')
  hooks.look = look
  look_in_scope(scope, key, after)
end

-- A lane that is waited for did not come, or needs no slots any more.
local function on_turns(rest)
  local scope, key = string.match(rest, '^%d+ (%S+) (.*)$')
  on_slots(scope .. '  ' .. key)
end

-- More rows of a sequence are not there than one step passes over.
local function on_sequence(rest)
  local name, key = string.match(rest, '^(%S+) (.*)$')
  hooks.look = look
  sequence_in(name, key).has_changed = true
end

-- A policy has changed: what is parked in the lanes of its scope is looked at, one lane after the other.
local function on_policy(rest)
  local scope, after = string.match(rest, '^(%S+) (%S*)$')
  local lanes = lanes_of(scope, after)
  for at = 1, math.min(#lanes, MAX_LANES) do
    look_later(now, nil, 'parked ' .. lanes[at] .. ' ')
    wake_if_any(lanes[at])
  end
  if #lanes > MAX_LANES then
    look_later(now, nil, 'policy ' .. scope .. ' ' .. lanes[MAX_LANES])
  end
end

local function on_parked(rest)
  local lane, after = string.match(rest, '^(%S+) (.*)$')
  local from = after == '' and '-' or '(' .. after
  local keys = redis.call('ZRANGEBYLEX', K .. 'parked:' .. lane, from, '+', 'LIMIT', '0', int(MAX_LANES))
  for _, key in ipairs(keys) do
    look_at(lane, key)
  end
  if #keys == MAX_LANES then
    look_later(now, nil, 'parked ' .. lane .. ' ' .. keys[#keys])
  end
end

-- The clock was set back, so that alarms ring too late: what is parked is looked at, and workers are told.
local function on_clock(after)
  local from = after == '' and '-' or '(' .. after
  local lanes = redis.call('ZRANGEBYLEX', K .. 'lanes', from, '+', 'LIMIT', '0', int(MAX_LANES))
  for _, lane in ipairs(lanes) do
    if scopes_of(lane) then
      look_later(now, nil, 'parked ' .. lane .. ' ')
      wake_if_any(lane)
    end
  end
  if #lanes == MAX_LANES then
    look_later(now, nil, 'clock ' .. lanes[#lanes])
  end
end

local function key_alarms()
  return {
    key = on_window_of_key, window = on_window_of_all, slots = on_slots, policy = on_policy, parked = on_parked,
    turns = on_turns, sequence = on_sequence, clock = on_clock,
  }
end
