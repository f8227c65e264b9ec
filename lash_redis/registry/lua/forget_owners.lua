-- forget_owners: forget owners that nothing names any more, and lists of lanes, of which no call came since a time.
-- needs:  nothing                 twice: nothing is left to forget
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  age, ms   ARGV 2 limit
-- reply   FORGOTTEN number
-- bound   owners <= 500, 10 lists
--- @include "partition"
--- @include "planned_writes"
local age, limit = tonumber(ARGV[1]), ARGV[2]

-- A list can be long, and is deleted whole.
local forgotten, lists_left = 0, 10
for _, name in ipairs(redis.call('ZRANGEBYSCORE', K .. 'seen', '-inf', int(now - age), 'LIMIT', '0', limit)) do
  if string.sub(name, 1, 7) == 'serves:' then
    if lists_left > 0 then
      lists_left = lists_left - 1
      drop(K .. name)
      index_remove(K .. 'seen', name)
    end
  elseif redis.call('ZCARD', K .. 'of:' .. name) == 0 then
    forgotten = forgotten + 1
    for _, hash in ipairs({ 'owners', 'claims', 'dead' }) do
      clear_hash(hash, name)
    end
    index_remove(K .. 'seen', name)
  else
    -- It has unsettled rows. It moves to the end of the index, so that it never hides the owners behind it.
    index_add(K .. 'seen', now_text, name)
  end
end
commit()
return { 'FORGOTTEN', int(forgotten) }
