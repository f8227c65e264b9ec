--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "content_of"
-- Keep for so long, ms, that there was a row of this id, which its caller had chosen (rule 5.9).
local function leave_tombstone(row, keep_ms)
  local expires, ended = int(now + keep_ms), redis.call('HGET', row_key(row.id), 'ta')
  local text = row.state .. string.format('%013.0f', number_in(ended)) .. content_of(row.id)
  store(K .. 't:' .. row.id, text, expires)
  index_add(K .. 'tombstones', expires, row.id)
end
