-- open: write the namespace's header if there is none, and answer the one that stands.
-- needs:  nothing                 twice: the first writer's header is answered again
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition prefix
-- ARGV 1  uuid to write   ARGV 2 partitions   ARGV 3 schema   ARGV 4 '1' to create, '0' to look only
-- reply   OPEN uuid partitions schema · ABSENT
-- bound   1 row
--- @include "partition"
--- @include "planned_writes"
local uuid, partitions, schema, create = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'

local header = redis.call('HMGET', K .. 'hdr', 'uuid', 'partitions', 'schema')
if header[1] then
  return { 'OPEN', header[1], header[2], header[3] }
end
if not create then
  return { 'ABSENT' }
end
write_hash('hdr', 'uuid', uuid, 'partitions', partitions, 'schema', schema, 'sequence', '0')
commit()
return { 'OPEN', uuid, partitions, schema }
