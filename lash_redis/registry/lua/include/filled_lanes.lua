--- @include "partition"
--- @include "planned_writes"
--- @include "is_paused"
--- @include "lane_names"
--- @include "keys/keyed_head"
-- The lanes that are not empty or paused and that this owner serves, by queue. The lane whose oldest row is the oldest
-- goes first, so that no task starves another (rule 9.2).
local function filled_lanes(list)
  local filled = {}
  for _, lane in ipairs(redis.call('ZINTER', '2', K .. 'lanes', K .. 'serves:' .. list)) do
    if not is_paused(lane) then
      local of_queue = list_for(filled, string.match(lane, '^[^|]*'))
      of_queue[#of_queue + 1] = { lane = lane, alone = runs_alone(lane), head = 0 }
    end
  end
  for _, of_queue in pairs(filled) do
    if #of_queue > 1 then
      for _, entry in ipairs(of_queue) do
        local lane = entry.lane
        entry.head = scopes_of(lane) and keyed_head(lane)
          or tonumber(redis.call('ZRANGE', K .. 'q:' .. lane, '0', '0', 'WITHSCORES')[2] or 0)
      end
      table.sort(of_queue, function(a, b) return a.head < b.head end)
    end
  end
  return filled
end
