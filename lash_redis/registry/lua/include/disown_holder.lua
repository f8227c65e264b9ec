--- @include "row"
--- @include "planned_writes"
-- Take a row out of its holder's index. The index keeps the owner-bound work that the owner started until that work
-- is terminal.
local function disown_holder(row)
  if row.holder and not (row.disposition == OWNER_BOUND and row.starter == row.holder) then
    index_remove(owned_set(row.holder), row.id)
  end
end
