--- @include "partition"
--- @include "planned_writes"
--- @include "lane_names"
-- How many rows of a queue an owner takes that could take all it wants, those that run alone not counted. While others
-- wait for work of this queue, it leaves them theirs (rule 9.6). `lanes` are those that have rows. Of an only lane with
-- few rows these are put into `looked_at`.
local MAX_SHARERS, MAX_COUNTED = 17, 16
local FEW = 2
local function share_of(queue, lanes, me, wanted, idle_ms, looked_at)
  local lane = lanes[1].lane
  if #lanes == 1 and not lanes[1].alone and not scopes_of(lane) then
    local found = redis.call('ZRANGE', K .. 'q:' .. lane, '0', int(FEW - 1), 'WITHSCORES')
    if #found < 2 * FEW then
      looked_at[lane] = found
      return wanted -- of one row there is nothing to share
    end
  end
  local others, key, since = 0, K .. 'idle:' .. queue, int(now - idle_ms)
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', key, since, '+inf', 'LIMIT', '0', int(MAX_SHARERS))) do
    others = others + (name == me and 0 or 1)
  end
  if others == 0 then
    return wanted
  end
  local rows = 0
  for number_of_lane, entry in ipairs(lanes) do
    if not entry.alone then
      rows = rows + (number_of_lane <= MAX_COUNTED and how_many_in(lane_set(entry.lane)) or 1)
    end
  end
  return math.ceil(rows / (1 + others))
end
