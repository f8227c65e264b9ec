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

local first, most = tonumber(skip), tonumber(limit)
local last, found = first + most, {}

local function read(index, many)
  return redis.call('ZRANGE', index, latest, '-inf', 'BYSCORE', 'REV', 'LIMIT', '0', int(many), 'WITHSCORES')
end

-- Those of one time stand in one order, page after page.
local function is_before(a, b)
  return a.ended == b.ended and a.id > b.id or tonumber(a.ended) > tonumber(b.ended)
end

-- The indexes that are read, the one with the newest row first.
local function indexes_by_newest()
  local indexes = {}
  local function add(index)
    local newest = read(index, 1)[2]
    if newest then
      indexes[#indexes + 1] = { key = index, newest = tonumber(newest) }
    end
  end
  if list == UNRESOLVED_INDEX then
    add(K .. list)
    return indexes
  end
  for _, kind in ipairs(ended_kinds(list)) do
    if task == '*' or task == kind.task then
      add(ended_index(kind.name))
    end
  end
  table.sort(indexes, function(a, b) return a.newest > b.newest end)
  return indexes
end

for _, index in ipairs(indexes_by_newest()) do
  if #found > last and tonumber(found[last + 1].ended) > index.newest then
    break
  end
  local page = read(index.key, last + 1)
  for at = 1, #page, 2 do
    found[#found + 1] = { id = page[at], ended = page[at + 1] }
  end
  table.sort(found, is_before)
  for at = #found, last + 2, -1 do
    found[at] = nil
  end
end
local reply = { 'ENDED', #found > last and '1' or '0' }
for at = first + 1, math.min(#found, last) do
  reply[#reply + 1] = found[at].ended
  reply[#reply + 1] = redis.call('EXISTS', row_key(found[at].id)) == 1 and row_reply(found[at].id, true) or ''
end
return reply
