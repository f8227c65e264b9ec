--- @include "partition"
--- @include "row"
--- @include "stored_lane"
--- @include "planned_writes"
--- @include "keys/planned_keys"
--- @include "lane_of"
-- See to it that the lane of a sequence's first row is looked at: its key stands in the rotation of that lane alone.
-- Return that row's id. A member of the sequence or of the lane whose row is not there is passed over: the sets are
-- hints (rule 8.7). After so many of these an alarm goes on.
local MAX_STALE = 16

-- The lane of a row that this script does not move into one, and whether it is queued there; nil if there is no row.
local function lane_of_row(id)
  local lane, losses, place = unpack(fields_of(redis.pcall('HMGET', row_key(id), 'ln', 'lo', 'ph')), 1, 3)
  return lane and lane_of({ lane = stored_lane(lane), losses = losses }) or nil, place == QUEUED
end

local function look_in_sequence(sequence)
  for _ = 1, MAX_STALE do
    local id = head_of(sequence)
    local lane, is_queued = id and sequence.lanes[id], true
    if id and not lane then
      lane, is_queued = lane_of_row(id)
    end
    local entry = lane and key_in(lane, sequence.key)
    local before = entry and is_queued and head_of(entry)
    if id and not lane then
      sequence.gone[id], sequence.added[id] = true, nil
    elseif before and before ~= id and redis.call('EXISTS', row_key(before)) == 0 then
      entry.gone[before], entry.has_changed = true, true
      index_remove(lane_set(lane), before)
    else
      if entry then
        entry.is_concerned, entry.has_changed = true, true
      end
      return id
    end
  end
  look_later(now, nil, 'sequence ' .. sequence.name .. ' ' .. sequence.key)
  return head_of(sequence)
end
