--- @include "partition"
-- Read one page of an index by score. Return its members and the cursor: the score at which the next page starts, and
-- how many members of that score were shown. A page that is not full is the last one, and its cursor's score is nil.
-- Where each member has a score of its own, no member that goes between two pages hides another.
local function page_of(key, score, skip, upto, limit)
  local found = redis.call('ZRANGEBYSCORE', key, score, upto, 'WITHSCORES', 'LIMIT', int(skip), int(limit + 1))
  local ids = {}
  for i = 1, math.min(#found, 2 * limit), 2 do
    ids[#ids + 1] = found[i]
  end
  if #ids < limit then
    return ids, nil, 0
  end
  -- The score of the first member that was not shown, or else of the last one that was.
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
