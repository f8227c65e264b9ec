--- @include "row"
--- @include "lane_names"
-- Whether a claim understands all of a row that it goes by. If not, a newer release wrote it or it is damaged, and it
-- stays as it is (rule 8.15).
local function is_readable(row)
  local entered = row.place ~= DELAYED and row.place ~= BLOCKED
  local sequence = row.sequence or (entered and '' or '0')
  for _, text in ipairs({ sequence, row.fence or '0', row.losses or '0', row.loss_limit or '0' }) do
    if not string.find(text, '^%d+$') then
      return false
    end
  end
  local is_declared = row.disposition == RERUNNABLE or row.disposition == OWNER_BOUND
    or row.disposition == EXTERNALLY_OWNED
  local is_placed = row.place == '' or row.place == QUEUED or INDEX[row.place]
  return is_declared and is_placed and is_lane_field(row.lane)
end
