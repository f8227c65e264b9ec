--- @include "partition"
--- @include "row"
--- @include "planned_writes"
-- Move a lease's expiry, never nearer. Needs the row's id, token and expiry, no more.
local function extend_lease(row, ttl)
  row.expires = int(math.max(number_in(row.expires), now + ttl))
  index_add(K .. INDEX[LEASED], row.expires, row.id)
  store(lease_key(row.id), row.token, row.expires)
  write_row(row.id, 'ex', row.expires)
end
