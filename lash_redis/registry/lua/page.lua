-- page: read the rows of one page of an index, without payloads of more than 64 bytes.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  index (a lane's set, leases, uncertain, outside, asked, an owner's)   ARGV 2 score, ARGV 3 skip: the cursor
--         at which the page starts   ARGV 4 highest score, or 'now'   ARGV 5 limit
-- reply   ROWS score skip (row) x found; score '' at the end
-- bound   rows <= 500
--- @include "partition"
--- @include "row"
--- @include "page_of"
--- @include "row_reply"
local index, score, skip, upto, limit = unpack(ARGV)

local ids, next_score, next_skip = page_of(K .. index, score, tonumber(skip), upto == 'now' and now_text or upto,
  tonumber(limit))
local reply = { 'ROWS', next_score or '', int(next_skip) }
for _, id in ipairs(ids) do
  if redis.call('EXISTS', row_key(id)) == 1 then
    reply[#reply + 1] = row_reply(id, true)
  end
end
return reply
