--- @include "keys/planned_keys"
--- @include "lane_names"
--- @include "lane_of"
--- @include "keys/passes"
-- What a queued row of a keyed lane waits for: 'head' if another row of its key goes first, 'first id' if another row
-- of its sequence does, else the scope that has no room for it; nil if it may start now. Of rows without a key the
-- limit that they share is named first: whoever reads it learns more than that another one goes first.
local function waits_for_turn(row, key)
  local lane, member = lane_of(row), member_of(row.id, row.cost)
  local by_key, for_all = scopes_of(lane)
  local name = sequence_named(by_key)
  local first = name and head_of(sequence_in(name, key))
  local is_head = name or head_of(key_in(lane, key)) == member
  if first and first ~= row.id then
    return 'first ' .. first
  elseif key ~= '' and not is_head then
    return 'head'
  elseif by_key ~= '' and not passes(by_key, key, member, lane) then
    return by_key
  elseif for_all ~= '' and not passes(for_all, '', member, lane) then
    return for_all
  elseif not is_head then
    return 'head'
  end
end
