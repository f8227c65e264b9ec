-- name_lanes: store a part of a list of lanes that workers serve, under the name that every worker with that list has.
-- needs:  the namespace's header  twice: the same lanes stand there already
-- flags   none
-- connections claim
-- KEYS 1  partition header
-- ARGV 1  name of the list: digest.number of lanes   ARGV 2.. lanes
-- reply   NAMED
-- bound   lanes <= 500
-- A list that holds something else besides is forgotten first: whoever named its lanes names them again.
--- @include "partition"
--- @include "lane_names"
--- @include "planned_writes"
local name = ARGV[1]
local key = K .. 'serves:' .. name

if redis.call('ZCARD', key) > 2 * tonumber(string.match(name, '%d+$')) then
  drop(key)
else
  for at = 2, #ARGV do
    index_add(key, '0', ARGV[at])
    index_add(key, '0', alone_twin(ARGV[at]))
  end
  index_add(K .. 'lists', now_text, name)
end
commit()
return { 'NAMED' }
