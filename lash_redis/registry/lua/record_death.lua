-- record_death: record that this incarnation is dead, by whoever saw it end; its batch claims are stale from now on.
-- needs:  to have seen it end, and the namespace's header   twice: the first record stands
-- flags   allow-oom
-- connections control
-- KEYS 1  partition header
-- ARGV 1  owner digest   ARGV 2 owner   ARGV 3 death (status and by whom)
-- reply   DONE death
-- bound   1 owner
--- @include "partition"
--- @include "planned_writes"
--- @include "remember_owner"
local digest, owner, death = unpack(ARGV)

local known = redis.call('HGET', K .. 'dead', digest)
if known then
  return { 'DONE', known }
end
write_hash('dead', digest, death)
write_hash('claims', digest, int(2 ^ 53))
index_add(K .. 'on:-', '0', digest)
remember_owner(digest, owner)
-- One that lives would claim nothing any more: it learns it from the claim that this makes it send.
publish(digest, 'dead ' .. digest)
commit()
return { 'DONE', death }
