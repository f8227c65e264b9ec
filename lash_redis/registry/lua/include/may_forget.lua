--- @include "partition"
--- @include "planned_writes"
--- @include "is_group"
-- Whether a row that has ended may be forgotten: not while somebody has yet to hear of its end, nor a group's
-- continuation before its members have ended. The list of its members goes with it: of a long one 500 in a call before.
local members_left = 10000
local function may_forget(row)
  if row.dependents and redis.call('EXISTS', K .. 'then:' .. row.id) == 1 then
    return false
  elseif row.group and redis.call('ZMSCORE', K .. 'awaits:' .. row.group, row.id)[1] then
    return false
  elseif not is_group(row) then
    return true
  elseif redis.call('EXISTS', K .. 'awaits:' .. row.id) == 1 then
    return false
  end
  local key = K .. 'members:' .. row.id
  local size = redis.call('ZCARD', key)
  if size > members_left then
    for _, id in ipairs(redis.call('ZRANGE', key, '0', int(MAX_BATCH - 1))) do
      index_remove(key, id)
    end
    return false
  end
  members_left = members_left - size
  drop(key)
  return true
end
