--- @include "partition"
-- One page of an index by score: the members, and where the next page begins (nil after a page that is not full). A
-- place is the score of the first member not shown (else of the last one), and how many of that score were shown: none
-- where every score is its own, and then no member that goes between two pages hides another.
local function page_of(key, score, skip, upto, limit)
  local found = redis.call('ZRANGEBYSCORE', key, score, upto, 'WITHSCORES', 'LIMIT', int(skip), int(limit + 1))
  local ids = {}
  for i = 1, math.min(#found, 2 * limit), 2 do
    ids[#ids + 1] = found[i]
  end
  if #ids < limit then
    return ids, nil, 0
  end
  local following = found[2 * limit + 2] or found[2 * limit]
  local shown = following == score and skip or 0
  for i = 2 * limit, 2, -2 do
    if found[i] ~= following then
      break
    end
    shown = shown + 1
  end
  return ids, following, shown
end
