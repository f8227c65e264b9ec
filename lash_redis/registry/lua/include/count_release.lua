--- @include "partition"
--- @include "row"
--- @include "planned_writes"
-- Count a run of rerunnable work that its holder stopped and gives back: it is no attempt and no loss.
local function count_release(row)
  if row.disposition == RERUNNABLE and has_begun(row) then
    write_row(row.id, 're', int(number_in(row.releases) + 1))
  end
end
