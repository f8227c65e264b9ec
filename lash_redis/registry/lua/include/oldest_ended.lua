--- @include "partition"
--- @include "ended_index"
-- The rows of some kinds that ended first, in that order: as many as are wanted, or fewer, but at least one if there is
-- one. Of each kind a chunk is read, and what may follow a full chunk bounds what is known of the order.
local function oldest_ended(kinds, most)
  local chunk, found, upto = math.max(16, math.floor(most / math.max(1, #kinds))), {}, math.huge
  for _, kind in ipairs(kinds) do
    local page = redis.call('ZRANGE', ended_index(kind.name), '0', int(chunk - 1), 'WITHSCORES')
    for at = 1, #page, 2 do
      found[#found + 1] = { id = page[at], ended = tonumber(page[at + 1]), kind = kind }
    end
    upto = #page == 2 * chunk and math.min(upto, tonumber(page[#page])) or upto
  end
  table.sort(found, function(a, b) return a.ended < b.ended or (a.ended == b.ended and a.id < b.id) end)
  local oldest = {}
  for _, entry in ipairs(found) do
    if #oldest == most or entry.ended > upto then
      break
    end
    oldest[#oldest + 1] = entry
  end
  return oldest
end
