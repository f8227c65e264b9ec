--- @include "partition"
--- @include "row"
--- @include "has_expired"
-- The refusal of a row that may not run, or not yet, with its place: that it has expired (its alarm is about to end
-- it), when a delayed one becomes due and what time it is, how many a blocked one waits for and the ids of some of
-- them, or what the key of a queued one waits for.
local MOST_NAMED = 10
local function waits_reply(row, waits_for)
  if has_expired(row) then
    return { 'WAITS', row.place, 'expired' }
  elseif row.place == DELAYED then
    return { 'WAITS', row.place, (row.due or now_text) .. ' ' .. now_text }
  elseif row.place ~= BLOCKED then
    return { 'WAITS', row.place, waits_for or '' }
  end
  local key = K .. 'awaits:' .. row.id
  local ids = redis.call('ZRANGE', key, '0', int(MOST_NAMED - 1))
  return { 'WAITS', row.place, int(redis.call('ZCARD', key)) .. ' ' .. table.concat(ids, ' ') }
end
