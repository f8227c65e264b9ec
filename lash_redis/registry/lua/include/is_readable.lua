--- @include "row"
--- @include "is_count"
--- @include "is_lane_field"
-- Whether a claim understands all of a row that it goes by. If not, a newer release wrote it or it is damaged, and it
-- stays as it is (rule 8.15).
local function is_readable(row)
  local has_sequence = row.sequence or row.place == DELAYED or row.place == BLOCKED
  local has_counts = row.fence or row.losses or row.loss_limit
  local is_counted = has_sequence and is_count(row.sequence)
    and (not has_counts or is_count(row.fence) and is_count(row.losses) and is_count(row.loss_limit))
  local is_declared = row.disposition == RERUNNABLE or row.disposition == OWNER_BOUND
    or row.disposition == EXTERNALLY_OWNED
  local is_placed = row.place == '' or row.place == QUEUED or INDEX[row.place]
  return is_counted and is_declared and is_placed and is_lane_field(row.lane)
end
