-- close_claims: make every batch claim with a lower number stale; its owner claims no more and is no longer idle.
-- needs:  the namespace's header  twice: the same number is answered as closed
-- flags   allow-oom
-- connections claim
-- KEYS 1  partition header
-- ARGV 1  namespace uuid   ARGV 2 owner digest   ARGV 3 owner   ARGV 4 number   ARGV 5.. queues
-- reply   CLOSED · STALE · MISMATCH
-- bound   the queues named
--- @include "partition"
--- @include "planned_writes"
--- @include "namespace_is"
--- @include "claims_are_stale"
--- @include "remember_owner"
local uuid, me, owner, number = unpack(ARGV, 1, 4)

if not namespace_is(uuid) then
  return { 'MISMATCH' }
end
if claims_are_stale(me, number) then
  return { 'STALE' }
end
for at = 5, #ARGV do
  index_remove(K .. 'idle:' .. ARGV[at], me)
end
write_hash('claims', me, number)
remember_owner(me, owner)
commit()
return { 'CLOSED' }
