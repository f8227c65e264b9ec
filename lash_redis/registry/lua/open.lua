-- open: write a partition's header while its namespace is being created, and answer the one that stands.
-- needs:  no other keys in the partition   twice: the first writer's header is answered again
-- flags   none
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  uuid   ARGV 2 partitions   ARGV 3 schema   ARGV 4 '1' once every other partition has its header, else ''
-- reply   OPEN uuid partitions schema ('1' once every partition has its header, else '') · MISMATCH
-- bound   1 row
--- @include "planned_writes"
--- @include "header_reply"
local uuid, partitions, schema, whole = unpack(ARGV)

local reply = header_reply()
if not reply then
  reply = { 'OPEN', uuid, partitions, schema, whole }
  write_hash('hdr', 'uuid', uuid, 'partitions', partitions, 'schema', schema, 'sequence', '0', 'whole', whole)
elseif whole ~= '' and reply[2] == uuid and reply[5] == '' then
  reply[5] = whole
  write_hash('hdr', 'whole', whole)
end
commit()
return reply
