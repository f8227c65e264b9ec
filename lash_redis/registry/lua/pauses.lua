-- pauses: read what is paused.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV    none
-- reply   PAUSES (name, request) x paused
-- bound   100 names
--- @include "partition"
return { 'PAUSES', unpack(redis.call('HGETALL', K .. 'paused')) }
