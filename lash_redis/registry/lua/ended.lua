-- ended: read one page of an index of ended rows, the newest first, without payloads of more than 64 bytes.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  index (done:<state>, unresolved)   ARGV 2 when the first of them ended at the latest, ms, or 'inf'
-- ARGV 3  how many of that time to leave out   ARGV 4 limit
-- reply   ENDED more (when, row or '') x found
--         more: '1' if there are more
-- bound   rows <= 500
--- @include "partition"
--- @include "row"
--- @include "row_reply"
local index, latest, skip, limit = unpack(ARGV)

local most = tonumber(limit)
local key = K .. index
local found = redis.call('ZRANGE', key, latest, '-inf', 'BYSCORE', 'REV', 'LIMIT', skip, int(most + 1), 'WITHSCORES')
local reply = { 'ENDED', #found > 2 * most and '1' or '0' }
for at = 1, math.min(#found, 2 * most), 2 do
  reply[#reply + 1] = found[at + 1]
  reply[#reply + 1] = redis.call('EXISTS', row_key(found[at])) == 1 and row_reply(found[at], true) or ''
end
return reply
