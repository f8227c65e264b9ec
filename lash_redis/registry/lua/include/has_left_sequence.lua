--- @include "row"
--- @include "lane_names"
--- @include "keys/planned_keys"
-- Whether a leased row has left its sequence for good, which went on: its starter came back to it after it was
-- uncertain.
local function has_left_sequence(row)
  local lane, key = split_key(row.lane)
  local name, halts = sequence_named(key and scopes_of(lane))
  if not name or halts or row.place ~= LEASED then
    return false
  end
  return not redis.call('ZMSCORE', sequence_in(name, key).set, row.id)[1]
end
