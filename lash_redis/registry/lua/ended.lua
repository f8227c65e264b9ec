-- ended: read one page of rows that ended in one way, the newest first, without payloads of more than 64 bytes.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  state (of abandoned ones those with a resolution), or 'unresolved'
-- ARGV 2  when the first of them ended at the latest, ms, or 'inf'   ARGV 3 how many of that time to leave out
-- ARGV 4  limit   ARGV 5 task, or '*': of every task (all that are unresolved are)
-- reply   ENDED more (when, row or '') x found
--         more: '1' if there are more
-- bound   rows <= 500, one index for each task
--- @include "partition"
--- @include "ended_index"
--- @include "ended_kinds"
--- @include "row"
--- @include "row_reply"
local list, latest, skip, limit, task = unpack(ARGV)

local indexes = list == UNRESOLVED_INDEX and { K .. list } or {}
for _, kind in ipairs(#indexes == 0 and ended_kinds(list) or {}) do
  if task == '*' or task == kind.task then
    indexes[#indexes + 1] = ended_index(kind.name)
  end
end
local first, most = tonumber(skip), tonumber(limit)
local last, found = first + most, {}
for _, index in ipairs(indexes) do
  local page = redis.call('ZRANGE', index, latest, '-inf', 'BYSCORE', 'REV', 'LIMIT', '0', int(last + 1), 'WITHSCORES')
  for at = 1, #page, 2 do
    found[#found + 1] = { id = page[at], ended = page[at + 1] }
  end
end
-- Those of one time stand in one order, page after page.
table.sort(found, function(a, b)
  return a.ended == b.ended and a.id > b.id or tonumber(a.ended) > tonumber(b.ended)
end)
local reply = { 'ENDED', #found > last and '1' or '0' }
for at = first + 1, math.min(#found, last) do
  reply[#reply + 1] = found[at].ended
  reply[#reply + 1] = redis.call('EXISTS', row_key(found[at].id)) == 1 and row_reply(found[at].id, true) or ''
end
return reply
