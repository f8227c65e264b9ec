--- @include "partition"
--- @include "row"
--- @include "planned_writes"
-- Keep for so long, ms, that there was a row of this id, which its caller had chosen (rule 5.9).
local function leave_tombstone(row, keep_ms)
  local f = redis.call('HMGET', row_key(row.id), 'cd', 'ta')
  local expires = int(now + keep_ms)
  store(K .. 't:' .. row.id, row.state .. string.format('%013.0f', number_in(f[2])) .. (f[1] or ''), expires)
  index_add(K .. 'tombstones', expires, row.id)
end
