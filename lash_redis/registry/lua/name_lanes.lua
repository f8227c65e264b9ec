-- name_lanes: store a part of a list of lanes that workers serve, under the name that every worker with that list has.
-- needs:  the namespace's header  twice: the same lanes stand there already
-- flags   none
-- connections claim
-- KEYS 1  partition header
-- ARGV 1  name of the list: digest.number of lanes   ARGV 2.. lanes
-- reply   NAMED
-- bound   lanes <= 500
--- @include "partition"
--- @include "row"
--- @include "planned_writes"
local name = ARGV[1]

for at = 2, #ARGV do
  index_add(K .. 'serves:' .. name, '0', ARGV[at])
  index_add(K .. 'serves:' .. name, '0', ARGV[at] .. ALONE)
end
index_add(K .. 'lists', now_text, name)
commit()
return { 'NAMED' }
