--- @include "partition"
-- The kinds of which there are ended rows: of one state, or of all (nil). Each has its task, and how many there are.
local function ended_kinds(state)
  local kinds, counts = {}, redis.call('HGETALL', K .. 'counts')
  for at = 1, #counts, 2 do
    local task, of_state = string.match(counts[at], '^(.*)|(%a)$')
    if task and (not state or state == of_state) then
      kinds[#kinds + 1] = { name = counts[at], task = task, state = of_state, rows = tonumber(counts[at + 1]) }
    end
  end
  return kinds
end
