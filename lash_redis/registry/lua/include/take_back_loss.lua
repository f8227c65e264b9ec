--- @include "partition"
--- @include "planned_writes"
-- Take back the loss that was counted for a token: its holder has returned and gives the work up (rule 3.6).
local function take_back_loss(row, token)
  if row.lost_token == token and tonumber(row.losses or 0) > 0 then
    row.losses = int(tonumber(row.losses) - 1)
    write_row(row.id, 'lo', row.losses)
    clear_fields(row.id, 'lt')
  end
end
