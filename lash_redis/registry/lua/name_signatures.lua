-- name_signatures: store the parameters of signatures under their digests; the first writer wins.
-- needs:  the namespace's header  twice: the same parameters stand there already
-- flags   none
-- connections calls
-- KEYS 1  partition header
-- ARGV 1.. (digest, parameters) x signatures
-- reply   NAMED
-- bound   signatures <= 500
--- @include "partition"
--- @include "planned_writes"
for at = 1, #ARGV, 2 do
  if redis.call('HEXISTS', K .. 'signatures', ARGV[at]) == 0 then
    write_hash('signatures', ARGV[at], ARGV[at + 1])
  end
end
commit()
return { 'NAMED' }
