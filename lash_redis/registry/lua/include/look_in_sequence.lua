--- @include "row"
--- @include "planned_keys"
--- @include "lane_of"
-- See to it that the lane of a sequence's first row is looked at: its key stands in the rotation of that lane alone.
-- Return that row's id. A member whose row is not there is passed over: the set is a hint (rule 8.7).
local MAX_STALE = 16
local function look_in_sequence(sequence)
  for _ = 1, MAX_STALE do
    local id = head_of(sequence)
    local lane = id and sequence.lanes[id]
    if id and not lane then
      local field, losses = unpack(fields_of(redis.pcall('HMGET', row_key(id), 'ln', 'lo')))
      lane = field and lane_of({ lane = field, losses = losses })
    end
    if lane then
      local entry = key_in(lane, sequence.key)
      entry.is_concerned, entry.has_changed = true, true
    elseif id then
      sequence.gone[id], sequence.added[id] = true, nil
    end
    if lane or not id then
      return id
    end
  end
end
