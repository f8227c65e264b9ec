-- awaited: read one page of what a process waits for, or of the members of the group that it continues.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  id   ARGV 2 'awaits' or 'members'   ARGV 3 how many to leave out   ARGV 4 limit
-- reply   AWAITED number id x found
--         number: of all of them; an id '*': a group that is held open
-- bound   rows <= 500
--- @include "partition"
local id, kind, first, limit = unpack(ARGV)

local key = K .. kind .. ':' .. id
local last = int(tonumber(first) + tonumber(limit) - 1)
return { 'AWAITED', int(redis.call('ZCARD', key)), unpack(redis.call('ZRANGE', key, first, last)) }
