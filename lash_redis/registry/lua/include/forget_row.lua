--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "count_ended"
--- @include "ended_index"
--- @include "ended_kind"
--- @include "label_keys"
--- @include "forget_unique"
--- @include "may_forget"
-- Forget a terminal row, with all that was kept beside it. Return false if it has to stay for now.
local function forget_row(row)
  if not may_forget(row) then
    return false
  end
  index_remove(ended_index(ended_kind(row, row.state)), row.id)
  count_ended(row, row.state, -1)
  for _, key in ipairs(label_keys(row)) do
    index_remove(key, row.id)
  end
  if row.keep_result then
    index_remove(K .. 'results', row.id)
  end
  forget_unique(row)
  drop(row_key(row.id))
  drop(K .. 'i:' .. row.id)
  drop(K .. 'o:' .. row.id)
  drop(K .. 'f:' .. row.id)
  return true
end
