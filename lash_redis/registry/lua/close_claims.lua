-- close_claims: make every batch claim with a lower number stale; its owner claims no more and is no longer idle.
-- needs:  the namespace's header  twice: the same number is answered as closed
-- flags   allow-oom
-- connections claim
-- KEYS 1  partition header
-- ARGV 1  owner digest   ARGV 2 owner   ARGV 3 number   ARGV 4.. queues
-- reply   CLOSED · STALE
-- bound   the queues named
--- @include "partition"
--- @include "planned_writes"
--- @include "claims_are_stale"
--- @include "remember_owner"
local me, owner, number = unpack(ARGV, 1, 3)

if claims_are_stale(me, number) then
  return { 'STALE' }
end
for at = 4, #ARGV do
  index_remove(K .. 'idle:' .. ARGV[at], me)
end
write_hash('claims', me, number)
remember_owner(me, owner)
commit()
return { 'CLOSED' }
