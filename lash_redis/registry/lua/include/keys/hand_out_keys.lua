--- @include "partition"
--- @include "planned_writes"
--- @include "keys/planned_keys"
--- @include "lane_names"
--- @include "keys/passes"
--- @include "keys/look"
-- Hand out up to `most` rows of a keyed lane: of each key one in its turn, round after round. Return whether the lane
-- has more that may run. `try(entry, member)` hands out a row: true if it did, nil if it passed over it, false if
-- nothing more may be handed out. What a limit refuses that all keys share shuts the lane, and its next key keeps its
-- turn (rule 9.12).
local PAGE, MAX_MISSES = 100, 200

-- The keys whose turn it is next, a page after the other.
local function next_keys(lane, read)
  local found = redis.call('ZRANGE', K .. 'turn:' .. lane, int(read), int(read + PAGE - 1))
  return found, #found == PAGE
end

-- Whether the first row of a key may start: it, and the policy that forbids it.
local function startable(entry)
  local by_key, for_all = scopes_of(entry.lane)
  local member = head_of(entry)
  if not member or (by_key ~= '' and not passes(by_key, entry.key, member, entry.lane)) then
    return nil, by_key
  elseif for_all ~= '' and not passes(for_all, '', member, entry.lane) then
    return nil, for_all, true
  end
  return member
end

local function hand_out_keys(lane, most, try)
  local read, may_have_more = 0, true
  local keys, at, again, misses = {}, 1, {}, 0
  hooks.look = look
  -- A lane that was not waited for any more is, since somebody serves it.
  if table.concat({ scopes_of(lane) }) ~= '' and text_at(K .. 'away:' .. lane) then
    drop(K .. 'away:' .. lane)
  end
  while true do
    if at > #keys and may_have_more then
      keys, may_have_more = next_keys(lane, read)
      at, read = 1, read + #keys
    elseif at > #keys then
      keys, at, again = again, 1, {}
    end
    if #keys == 0 then
      return false
    elseif misses == MAX_MISSES then
      return true
    end
    local entry = key_in(lane, keys[at])
    local member, _, is_shut = startable(entry)
    if is_shut then
      return false
    elseif member and most == 0 then
      return true
    end
    local result = member and try(entry, member)
    if result == false then
      return true
    elseif result then
      most = most - 1
      again[#again + 1] = entry.key
    else
      misses = misses + 1
    end
    entry.has_changed, entry.turn = true, member and next_turn(lane)
    at = at + 1
  end
end
