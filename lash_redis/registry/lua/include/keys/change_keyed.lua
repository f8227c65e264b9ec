--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "keys/planned_keys"
--- @include "lane_names"
--- @include "lane_of"
--- @include "keys/look"
--- @include "keys/change_sequence"
-- What change_key does with a row of a keyed lane: the queue and the slots of its key change. Leased and uncertain rows
-- have slots.
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
  local cost = row.cost and number_in(row.cost) or 1
  cost = limit > 0 and cost > limit and limit or cost
  slots.given[row.id], slots.taken, slots.has_changed = cost, slots.taken + cost, true
  wait_no_longer(slots, lane)
  start_in(scope, key)
end

-- Uncertain rows are counted apart, since nobody knows when they free their slots.
local function count_uncertain(scope, key, row, by)
  local slots = slots_of(scope, key, row.id)
  local cost = cost_in(slots, row.id) or 0
  slots.uncertain, slots.has_changed = slots.uncertain + by * cost, true
end

local function free_slots(scope, key, row)
  local slots = slots_of(scope, key, row.id)
  local cost = cost_in(slots, row.id)
  if cost then
    slots.given[row.id], slots.freed[row.id] = nil, true
    slots.taken, slots.has_changed = slots.taken - cost, true
  end
end

local function change_in_scope(scope, key, row, from, to, lane)
  if from == UNCERTAIN and to ~= UNCERTAIN then
    count_uncertain(scope, key, row, -1)
  end
  if HOLDS[to] and not HOLDS[from] then
    take_slots(scope, key, row, lane)
  elseif HOLDS[from] and not HOLDS[to] then
    free_slots(scope, key, row)
  elseif from == LEASED and to == LEASED then
    start_in(scope, key)
  end
  if to == UNCERTAIN and from ~= UNCERTAIN then
    count_uncertain(scope, key, row, 1)
  end
end

local function change_keyed(row, key, from, to, score)
  hooks.look = look
  local lane = lane_of(row)
  if from == QUEUED or to == QUEUED then
    local entry, member = key_in(lane, key), member_of(row.id, row.cost)
    entry.has_changed = true
    if from == QUEUED then
      entry.gone[member], entry.added[member] = true, nil
    end
    if to == QUEUED then
      entry.added[member] = tonumber(score)
    end
  end
  local by_key, for_all = scopes_of(lane)
  if by_key ~= '' and not change_sequence(row, from, to, by_key, key) then
    change_in_scope(by_key, key, row, from, to, lane)
  end
  if for_all ~= '' then
    change_in_scope(for_all, '', row, from, to, lane)
  end
end
