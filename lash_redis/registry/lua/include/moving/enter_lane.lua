--- @include "row"
--- @include "planned_writes"
--- @include "lane_names"
--- @include "lane_of"
--- @include "moving/move_to"
--- @include "next_sequence"
--- @include "score_of"
--- @include "has_left_sequence"
--- @include "watch_expiry"
-- Move a row into its lane, and wake one idle worker. Where it stands there is decided when it first enters. Of a keyed
-- row the key wakes one, if it may run (see look). The alarm of its expiry may have been put off to its lease's end.
local function enter_lane(row)
  if not row.sequence or has_left_sequence(row) then
    row.sequence = next_sequence()
    write_row(row.id, 'sq', row.sequence)
  end
  move_to(row, QUEUED, score_of(row))
  watch_expiry(row)
  if not scopes_of(row.lane) then
    wake(lane_of(row))
  end
end
