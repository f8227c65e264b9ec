-- forget_tombstones: forget what is kept of forgotten processes that ended before a time.
-- needs:  nothing                 twice: nothing is left to forget
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  before, ms   ARGV 2 '1' if the time is so long before now, ms
-- ARGV 3  score, ARGV 4 skip: the cursor at which the page starts   ARGV 5 limit
-- reply   FORGOTTEN number score skip; score '' at the end
-- bound   tombstones <= 500
--- @include "partition"
--- @include "planned_writes"
--- @include "page_of"
--- @include "tombstone_of"
local bound, is_age, score, skip, limit = unpack(ARGV)
local before = is_age == '1' and now - tonumber(bound) or tonumber(bound)

local key, gone = K .. 'tombstones', {}
local ids, next_score, next_skip = page_of(key, score, tonumber(skip), '+inf', tonumber(limit))
for _, id in ipairs(ids) do
  local _, _, ended = tombstone_of(id)
  if not ended or ended < before then
    gone[#gone + 1] = id
    drop(K .. 't:' .. id)
    index_remove(key, id)
  end
end
-- The next page skips those of its first score that were shown and stay.
if next_score then
  for at, id_score in ipairs(#gone > 0 and redis.call('ZMSCORE', key, unpack(gone)) or {}) do
    next_skip = next_skip - (gone[at] and id_score == next_score and 1 or 0)
  end
end
commit()
return { 'FORGOTTEN', int(#gone), next_score or '', int(math.max(next_skip, 0)) }
