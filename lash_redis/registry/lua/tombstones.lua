-- tombstones: read what is kept of forgotten processes whose ids their callers had chosen.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1.. ids
-- reply   TOMBSTONES (state, or '' for one of which nothing is kept; when it ended, ms) x ids
-- bound   rows <= 500
--- @include "partition"
--- @include "tombstone_of"
local reply = { 'TOMBSTONES' }
for _, id in ipairs(ARGV) do
  local _, state, ended = tombstone_of(id)
  reply[#reply + 1], reply[#reply + 2] = state or '', ended and int(ended) or '0'
end
return reply
