-- forget_owners: forget owners that nothing names any more, and lists of lanes, that have not called since a time.
-- needs:  nothing                 twice: nothing is left to forget
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  age, ms   ARGV 2 limit
-- reply   FORGOTTEN number
-- bound   owners <= 500, lists of lanes as many
--- @include "partition"
--- @include "planned_writes"
local age, limit = tonumber(ARGV[1]), ARGV[2]

local forgotten = 0
for _, digest in ipairs(redis.call('ZRANGEBYSCORE', K .. 'seen', '-inf', int(now - age), 'LIMIT', '0', limit)) do
  if redis.call('ZCARD', K .. 'of:' .. digest) == 0 then
    forgotten = forgotten + 1
    for _, name in ipairs({ 'owners', 'claims', 'dead' }) do
      clear_hash(name, digest)
    end
    index_remove(K .. 'seen', digest)
  else
    -- It has unsettled rows. It moves to the end of the index, so that it never hides the owners behind it.
    index_add(K .. 'seen', now_text, digest)
  end
end
for _, list in ipairs(redis.call('ZRANGEBYSCORE', K .. 'serving', '-inf', int(now - age), 'LIMIT', '0', limit)) do
  drop(K .. 'serves:' .. list)
  index_remove(K .. 'serving', list)
end
commit()
return { 'FORGOTTEN', int(forgotten) }
