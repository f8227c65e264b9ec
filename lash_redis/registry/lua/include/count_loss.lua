--- @include "partition"
--- @include "row"
--- @include "planned_writes"
-- Count a lease under which code had begun and that ends without its holder: once for its token (rule 3.6). Return
-- whether there was a loss to count.
local function count_loss(row)
  if row.disposition ~= RERUNNABLE or not has_begun(row) or row.lost_token == row.token then
    return false
  end
  row.losses = int(number_in(row.losses) + 1)
  write_row(row.id, 'lo', row.losses, 'lt', row.token)
  return true
end
