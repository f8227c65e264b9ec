--- @include "partition"
--- @include "planned_writes"
-- A row is forgotten: its unique key leads to it no more, unless another row has taken the key since.
local function forget_unique(row)
  if row.unique and text_at(K .. 'u:' .. row.unique) == row.id then
    drop(K .. 'u:' .. row.unique)
  end
end
