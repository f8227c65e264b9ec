--- @include "partition"
--- @include "planned_writes"
--- @include "is_group"
-- A blocked row leaves its place, and nothing that ends is to tell it any more. What a group still waits for goes as
-- its members end: there may be any number of them.
local MAX_AWAITED = 100
local function stop_waiting(row)
  local key = K .. 'awaits:' .. row.id
  if is_group(row) then
    index_remove(key, '*')
    return
  end
  for _, id in ipairs(redis.call('ZRANGE', key, '0', int(MAX_AWAITED - 1))) do
    index_remove(K .. 'then:' .. id, row.id)
  end
  drop(key)
end
