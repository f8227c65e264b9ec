--- @include "row"
--- @include "planned_writes"
-- List the alarm that ends a row if nobody has started it by then. Whatever starts or ends the row unlists it.
local function watch_expiry(row)
  if row.expiry and not row.starter then
    alarm_at(number_in(row.expiry), queue_of(row.lane), 'expire ' .. row.id)
  end
end
