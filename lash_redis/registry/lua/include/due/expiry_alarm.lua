--- @include "row"
--- @include "has_expired"
--- @include "expire"
-- The alarm of a row with an expiry: end the row, if nobody has started it. Work that somebody holds is theirs while
-- the lease lives; the alarm comes again when it ends.
local function expiry_alarm(id)
  local row = read_row(id)
  if not row or row.state or row.starter or not row.expiry then
    return nil
  elseif not has_expired(row) then
    return number_in(row.expiry)
  elseif is_live(row) then
    return number_in(row.expires)
  end
  expire(row)
end
