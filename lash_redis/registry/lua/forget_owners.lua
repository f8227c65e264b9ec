-- forget_owners: forget owners that nothing names any more, and lists of lanes, of which no call came since a time.
-- needs:  nothing                 twice: nothing is left to forget
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  age of owners, ms   ARGV 2 limit   ARGV 3 age of lists, ms
-- reply   FORGOTTEN number more
--         number: of owners; more: '1' if there may be more to forget
-- bound   owners <= 500, 10 lists
--- @include "partition"
--- @include "planned_writes"
local age, limit, lists_age = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
-- A list can be long, and is deleted whole. Whoever still serves it names it again.
local MAX_LISTS = 10

local forgotten = 0
local owners = redis.call('ZRANGEBYSCORE', K .. 'seen', '-inf', int(now - age), 'LIMIT', '0', limit)
for _, name in ipairs(owners) do
  if redis.call('ZCARD', K .. 'of:' .. name) == 0 then
    local host = string.match(redis.call('HGET', K .. 'owners', name) or '', '^(%S+) ')
    forgotten = forgotten + 1
    if host then
      index_remove(K .. 'on:' .. host, name)
    end
    index_remove(K .. 'on:-', name)
    for _, hash in ipairs({ 'owners', 'claims', 'dead' }) do
      clear_hash(hash, name)
    end
    index_remove(K .. 'seen', name)
  else
    -- It has unsettled rows. It moves to the end of the index, so that it never hides the owners behind it.
    index_add(K .. 'seen', now_text, name)
  end
end
local lists = redis.call('ZRANGEBYSCORE', K .. 'lists', '-inf', int(now - lists_age), 'LIMIT', '0', int(MAX_LISTS))
for _, name in ipairs(lists) do
  drop(K .. 'serves:' .. name)
  index_remove(K .. 'lists', name)
end
commit()
return { 'FORGOTTEN', int(forgotten), (#owners == tonumber(limit) or #lists == MAX_LISTS) and '1' or '0' }
