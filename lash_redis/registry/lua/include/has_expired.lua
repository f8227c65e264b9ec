--- @include "partition"
--- @include "row"
-- Whether nobody started this row before its expiry (verdict, line 12). Once started, it does not expire any more.
local function has_expired(row)
  return row.expiry and not row.starter and number_in(row.expiry) <= now
end
