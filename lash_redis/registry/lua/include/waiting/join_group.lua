--- @include "partition"
--- @include "planned_writes"
--- @include "is_group"
--- @include "waiting/row_or_tombstone"
--- @include "waiting/tell_dependents"
-- A row that is registered becomes a member of a group, if it is none yet: of one that is held open. Return whether it
-- is one already, as one is that was pruned since, and the refusal of one that cannot be a member.
local groups, sizes = {}, {}
local function join_group(row, known, end_row)
  local list = K .. 'members:' .. row.group
  if groups[row.group] == nil then
    groups[row.group] = row_or_tombstone(row.group) or false
    sizes[row.group] = redis.call('ZCARD', list)
  end
  local group, standing = groups[row.group], known and row_or_tombstone(row.id)
  if standing and not standing.is_forgotten and standing.group ~= row.group then
    return false, { row.group, 'stranger' }
  elseif group and group.is_forgotten or redis.call('ZMSCORE', list, row.id)[1] then
    return true
  elseif not group or not is_group(group) then
    return false, { row.group, 'unknown' }
  elseif not redis.call('ZMSCORE', K .. 'awaits:' .. row.group, '*')[1] then
    return false, { row.group, group.state or 'closed' }
  end
  sizes[row.group] = sizes[row.group] + 1
  index_add(list, int(sizes[row.group]), row.id)
  index_add(K .. 'awaits:' .. row.group, '0', row.id)
  if standing and standing.state then
    standing.group = row.group
    tell_dependents(standing, standing.state, end_row)
  end
  return false
end
