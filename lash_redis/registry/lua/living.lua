-- living: count the owners that called lately, and name the queues that workers served lately.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  how long ago their last call was, at most, ms
-- reply   LIVING owners queue..; a queue may come several times
-- bound   the 16 lists of the latest calls, 32 queues of each
--- @include "partition"
local MAX_LISTS, MAX_QUEUES = 16, 32
local since, most = int(now - tonumber(ARGV[1])), int(MAX_LISTS)

local reply = { 'LIVING', int(redis.call('ZCOUNT', K .. 'seen', since, '+inf')) }

-- A lane begins with its queue and "|". The character after "|" leads past all lanes of one queue.
local function add_queues(list)
  local from = '-'
  for _ = 1, MAX_QUEUES do
    local lane = redis.call('ZRANGEBYLEX', K .. 'serves:' .. list, from, '+', 'LIMIT', '0', '1')[1]
    if not lane then
      return
    end
    local queue = string.match(lane, '^([^|]+)|[^|]*|')
    reply[#reply + 1] = queue
    from = '(' .. (queue and queue .. '}' or lane)
  end
end

for _, list in ipairs(redis.call('ZRANGE', K .. 'lists', '+inf', since, 'BYSCORE', 'REV', 'LIMIT', '0', most)) do
  add_queues(list)
end
return reply
