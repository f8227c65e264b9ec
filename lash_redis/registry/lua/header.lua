-- header: read the namespace's header.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV    none
-- reply   OPEN uuid partitions schema ('1' once every partition has its header, else '') · ABSENT · MISMATCH
-- bound   1 row
--- @include "header_reply"
return header_reply() or { 'ABSENT' }
