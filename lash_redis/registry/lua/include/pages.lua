--- @include "partition"
-- One page of an index by score: the members, and where the next page begins (nil at the end). A page may end
-- between members of one score, so a place is a score and how many of that score were seen.
local function page_of(key, score, skip, upto, limit)
  local found = redis.call('ZRANGEBYSCORE', key, score, upto, 'WITHSCORES', 'LIMIT', int(skip), int(limit))
  local ids = {}
  for i = 1, #found, 2 do
    ids[#ids + 1] = found[i]
  end
  if #ids < limit then
    return ids, nil, 0
  end
  local last, same = found[#found], 0
  for i = #found, 2, -2 do
    if found[i] ~= last then
      break
    end
    same = same + 1
  end
  if same == #ids and score == last then
    same = same + skip
  end
  return ids, last, same
end
