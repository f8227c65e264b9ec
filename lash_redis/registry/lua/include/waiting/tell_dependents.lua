--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "waiting/hear_of"
-- Tell those that wait for a process that it has ended, once its fact is committed: at most 100 of them in one script.
-- The rest is left to an alarm. An abandoned process that is not resolved is told to those only that run all the same.
-- `end_row` is finish, which cannot be included here: what it ends may be waited for too.
local MAX_TOLD = 100
-- The scores of `K:then:`.
local RUNS_ALL_THE_SAME, NEEDS_COMPLETION = '0', '1'
-- The first letter of the kind of a resolution that counts as completed.
local HAPPENED = 'h'
local told, untold = 0, {}

local function tell_all(end_row)
  local ends, dependents, ends_of = untold, {}, {}
  untold = {}
  local function tell(id, each)
    if not ends_of[id] then
      dependents[#dependents + 1] = id
    end
    local list = list_for(ends_of, id)
    list[#list + 1] = each
  end
  for _, each in ipairs(ends) do
    local row, key = each.row, K .. 'then:' .. each.id
    local has_more = false
    if row.group and (ends_of[row.group] or told < MAX_TOLD) then
      told = told + (ends_of[row.group] and 0 or 1)
      tell(row.group, each)
    elseif row.group then
      has_more = true
    end
    if row.dependents then
      local upto, most = each.open and RUNS_ALL_THE_SAME or NEEDS_COMPLETION, MAX_TOLD - told
      local found = redis.call('ZRANGEBYSCORE', key, RUNS_ALL_THE_SAME, upto, 'LIMIT', '0', int(most + 1))
      for at = 1, math.min(#found, most) do
        tell(found[at], each)
        index_remove(key, found[at])
      end
      told, has_more = told + math.min(#found, most), has_more or #found > most
    end
    if has_more then
      alarm_at(now, queue_of(row.lane or ''), 'tell ' .. each.id)
    end
  end
  for _, id in ipairs(dependents) do
    hear_of(id, ends_of[id], end_row)
  end
end

local function tell_dependents(row, state, end_row)
  if #untold == 0 then
    follow(function() tell_all(end_row) end)
  end
  untold[#untold + 1] = {
    id = row.id, row = row, state = state,
    completed = state == COMPLETED or row.resolution == HAPPENED,
    open = state == ABANDONED and not row.resolution,
  }
end
