--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "unwatch_expiry"
-- Record that user code begins under the row's lease. The first start stands for ever (rule 5.5); a later one has a
-- field of its own. Of the first only the time is written, while the row names its owner and token as those of the
-- lease (see keep_start). A row that was read outside *leased* is not in the index of leased rows without a start.
local function mark_started(row)
  unwatch_expiry(row)
  if row.place == LEASED then
    index_remove(K .. UNBEGUN_INDEX, row.id)
  end
  if row.starter then
    write_row(row.id, 'st', row.token)
  else
    write_row(row.id, 'fa', now_text)
  end
end
