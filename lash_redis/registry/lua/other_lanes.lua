-- other_lanes: page the filled lanes under some beginnings with their signatures; note that a worker with a list lives.
-- needs:  the namespace's header  twice: the same lanes are found
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  name of the list of lanes   ARGV 2 lane after which the first beginning's page begins ('' at first)
-- ARGV 3  limit   ARGV 4.. beginnings
-- reply   LANES known read (lane, parameters) x found
--         known: '1' if the partition knows the list; read: how many beginnings were read to their end;
--         parameters: '' for a signature that nobody has named
-- bound   lanes <= 500, beginnings <= 500
--- @include "partition"
--- @include "planned_writes"
local list, after, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])

-- No character of a lane is above this one.
local LAST = '~'

local lanes, digests, read = {}, {}, 0
for at = 4, #ARGV do
  local from = after == '' and '[' .. ARGV[at] or '(' .. after
  local asked = limit - #lanes
  local found = redis.call('ZRANGEBYLEX', K .. 'lanes', from, '[' .. ARGV[at] .. LAST, 'LIMIT', '0', int(asked))
  for _, lane in ipairs(found) do
    lanes[#lanes + 1] = lane
    digests[#digests + 1] = string.match(lane, '^[^|]*|[^|]*|([^|]*)') or ''
  end
  if #found == asked then
    break
  end
  after, read = '', read + 1
end

local is_known = redis.call('ZCARD', K .. 'serves:' .. list) == 2 * tonumber(string.match(list, '%d+$'))
if is_known then
  index_add(K .. 'lists', now_text, list)
  commit()
end
local reply = { 'LANES', is_known and '1' or '0', int(read) }
local parameters = #lanes > 0 and redis.call('HMGET', K .. 'signatures', unpack(digests)) or {}
for at, lane in ipairs(lanes) do
  reply[#reply + 1], reply[#reply + 2] = lane, parameters[at] or ''
end
return reply
