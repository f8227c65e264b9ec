-- served: say of each lane whether a worker serves it that called a short time ago.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  how long ago such a worker made its last call, at most, ms   ARGV 2.. lanes
-- reply   SERVED lists how x answered
--         lists: how many lists of lanes are in use; answered: the first of the lanes, 8 at least; how: '1' served,
--         '2' its task is, with other signatures only, '0' by nobody, '?' not by the lists that were looked at
-- bound   lanes <= 500, the 256 lists of the latest calls, 2048 pairs of a list and a lane: about 3 ms
--- @include "partition"
local MAX_LISTS, MAX_LOOKS = 256, 2048
local since, most = int(now - tonumber(ARGV[1])), int(MAX_LISTS)

local in_use = redis.call('ZCOUNT', K .. 'lists', since, '+inf')
local lists = redis.call('ZRANGE', K .. 'lists', '+inf', since, 'BYSCORE', 'REV', 'LIMIT', '0', most)

-- How each lane is served, and the numbers of those that no list so far has.
local how, open = {}, {}
for at = 2, #ARGV do
  if #open == math.floor(MAX_LOOKS / math.max(1, #lists)) then
    break
  end
  how[at - 1] = in_use > #lists and '?' or '0'
  open[at - 1] = at - 1
end

-- A list has the lane of a task without a signature whenever it has another one of that task.
local function without_signature(lane)
  return string.match(lane, '^[^|]*|[^|]*|') or lane
end

for _, list in ipairs(lists) do
  if #open == 0 then
    break
  end
  local asked, still_open = {}, {}
  for _, number in ipairs(open) do
    asked[#asked + 1] = ARGV[number + 1]
    asked[#asked + 1] = without_signature(ARGV[number + 1])
  end
  local scores = redis.call('ZMSCORE', K .. 'serves:' .. list, unpack(asked))
  for at, number in ipairs(open) do
    if scores[2 * at - 1] then
      how[number] = '1'
    else
      still_open[#still_open + 1] = number
      how[number] = scores[2 * at] and how[number] == '0' and '2' or how[number]
    end
  end
  open = still_open
end
return { 'SERVED', int(in_use), unpack(how) }
