--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "planned_keys"
--- @include "lane_names"
--- @include "lane_of"
--- @include "look"
--- @include "change_sequence"
-- A row goes from a place to another one (nil: it comes into being, or ends, if not ABANDONED). Of a keyed row the
-- queue and the slots of its key change with it. Leased and uncertain rows have slots. Who may not pass must not come
-- here: a start that nobody asked about takes its slots even if none is free (rule 9.12).
local HOLDS = { [LEASED] = true, [UNCERTAIN] = true }

local function start_in(scope, key)
  local policy = policy_of(scope)
  if policy.starts > 0 then
    local window = window_of(scope, key)
    if window.starts == 0 then
      window.opened, window.ends = now, now + policy.window
    end
    window.starts, window.has_changed = window.starts + 1, true
  end
end

local function take_slots(scope, key, row, lane)
  local slots, limit = slots_of(scope, key), policy_of(scope).limit
  local cost = number_in(row.cost or '1')
  cost = limit > 0 and math.min(cost, limit) or cost
  slots.given[row.id], slots.taken, slots.has_changed = cost, slots.taken + cost, true
  wait_no_longer(slots, lane)
  start_in(scope, key)
end

-- Uncertain rows are counted apart, since nobody knows when they free their slots.
local function count_uncertain(scope, key, row, by)
  local slots = slots_of(scope, key)
  local cost = slots.given[row.id] or tonumber(redis.call('ZMSCORE', slots.set, row.id)[1] or '0')
  slots.uncertain, slots.has_changed = slots.uncertain + by * cost, true
end

local function free_slots(scope, key, row)
  local slots = slots_of(scope, key)
  local cost = slots.given[row.id] or tonumber(redis.call('ZMSCORE', slots.set, row.id)[1] or '')
  if cost then
    slots.given[row.id], slots.freed[row.id] = nil, true
    slots.taken, slots.has_changed = slots.taken - cost, true
  end
end

local function change_key(row, from, to, score)
  local _, key = split_key(row.lane)
  if not key then
    return
  end
  hooks.look = look
  local lane, member = lane_of(row), member_of(row.id, row.cost)
  local entry = key_in(lane, key)
  if from == QUEUED then
    entry.gone[member], entry.added[member], entry.has_changed = true, nil, true
  end
  if to == QUEUED then
    entry.added[member], entry.has_changed = tonumber(score), true
  end
  local by_key, for_all = scopes_of(lane)
  if change_sequence(row, from, to, by_key, key) then
    by_key = ''
  end
  for _, scope in ipairs({ by_key, for_all }) do
    local of = scope == by_key and key or ''
    if scope ~= '' and from == UNCERTAIN and to ~= UNCERTAIN then
      count_uncertain(scope, of, row, -1)
    end
    if scope ~= '' and HOLDS[to] and not HOLDS[from] then
      take_slots(scope, of, row, lane)
    elseif scope ~= '' and HOLDS[from] and not HOLDS[to] then
      free_slots(scope, of, row)
    elseif scope ~= '' and from == LEASED and to == LEASED then
      start_in(scope, of)
    end
    if scope ~= '' and to == UNCERTAIN and from ~= UNCERTAIN then
      count_uncertain(scope, of, row, 1)
    end
  end
end
