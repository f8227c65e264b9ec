-- get: read whole rows.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1.. ids
-- reply   ROWS (row or '') x ids
-- bound   rows <= 500
--- @include "row"
--- @include "row_reply"
local reply = { 'ROWS' }
for _, id in ipairs(ARGV) do
  reply[#reply + 1] = redis.call('EXISTS', row_key(id)) == 1 and row_reply(id) or ''
end
return reply
