--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "lane_of"
--- @include "place_index"
--- @include "change_key"
--- @include "score_of"
-- Take back the loss that was counted for a token: its holder has returned and gives the work up (rule 3.6). A queued
-- row may have another lane then (rule 4.6).
local function take_back_loss(row, token)
  if row.lost_token ~= token or number_in(row.losses) == 0 then
    return
  end
  local before = place_index(row, row.place)
  if row.place == QUEUED then
    change_key(row, QUEUED)
  end
  row.losses = int(number_in(row.losses) - 1)
  write_row(row.id, 'lo', row.losses)
  clear_fields(row.id, 'lt')
  local after = place_index(row, row.place)
  if row.place == QUEUED then
    change_key(row, nil, QUEUED, score_of(row))
  end
  if after ~= before then
    index_add(after, score_of(row), row.id)
    index_remove(before, row.id)
    wake(lane_of(row))
  end
end
