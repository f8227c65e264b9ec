--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "ended_index"
--- @include "ended_kind"
--- @include "change_key"
--- @include "ending/finish"
--- @include "waiting/tell_dependents"
-- Record what was found out about an abandoned row, and let go what waits for that. The first word stands: return
-- whether this is it. `kind` is the first letter of the resolution's kind.
local function write_resolution(row, resolution, kind)
  index_remove(K .. UNRESOLVED_INDEX, row.id)
  local ended, stands = unpack(redis.call('HMGET', row_key(row.id), 'ta', 'rs'))
  if stands then
    return false
  end
  write_row(row.id, 'rs', resolution, 'rk', kind)
  change_key(row, ABANDONED)
  index_add(ended_index(ended_kind(row, ABANDONED)), ended, row.id)
  if row.dependents or row.group then
    row.resolution = kind
    tell_dependents(row, ABANDONED, finish)
  end
  return true
end
