--- @include "row"
--- @include "planned_keys"
--- @include "lane_names"
--- @include "lane_of"
--- @include "passes"
-- What a queued row of a keyed lane waits for: 'head' if another row of its key goes first, else the scope that has no
-- room for it; nil if it may start now.
local function waits_for_key(row)
  local _, key = split_key(row.lane)
  if not key or row.place ~= QUEUED then
    return nil
  end
  local lane = lane_of(row)
  local by_key, for_all = scopes_of(lane)
  local cost = number_in(row.cost or '1')
  if head_of(key_in(lane, key)) ~= member_of(row.id, row.cost) then
    return 'head'
  elseif by_key ~= '' and not passes(by_key, key, cost) then
    return by_key
  elseif for_all ~= '' and not passes(for_all, '', cost) then
    return for_all
  end
end
