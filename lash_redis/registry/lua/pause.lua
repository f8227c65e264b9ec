-- pause: let nothing of a queue or of a task begin until it is resumed; what runs goes on, and no row moves.
-- needs:  the namespace's header  twice: the first pause stands
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  'q:' and a queue, or 't:' and a task   ARGV 2 request
-- reply   PAUSED request: the one that stands · TOO_MANY
-- bound   100 names
--- @include "partition"
--- @include "planned_writes"
local name, request = unpack(ARGV)
local MAX_NAMES = 100

local stands = redis.call('HGET', K .. 'paused', name)
if stands then
  return { 'PAUSED', stands }
end
local _, others = string.gsub(header[4] or '', '%S+', '')
if others >= MAX_NAMES then
  return { 'TOO_MANY' }
end
write_hash('paused', name, request)
set_header('paused', header[4] and header[4] .. ' ' .. name or name)
commit()
return { 'PAUSED', request }
