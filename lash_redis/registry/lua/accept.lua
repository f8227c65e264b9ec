-- accept: resolve as accepted the abandoned processes that ended before a time and that nobody has resolved.
-- needs:  nothing                 twice: the next page
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  before, ms   ARGV 2 '1' if the time is so long before now, ms   ARGV 3 limit
-- ARGV 4  resolution   ARGV 5 the first letter of its kind
-- reply   ACCEPTED (number looked at) ids..
-- bound   rows <= 500, 100 rows that wait for them
--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "ended_before"
--- @include "write_resolution"
local before, limit, resolution, kind = ended_before(ARGV[1], ARGV[2]), ARGV[3], ARGV[4], ARGV[5]

local ids = redis.call('ZRANGEBYSCORE', K .. UNRESOLVED_INDEX, '-inf', before, 'LIMIT', '0', limit)
local reply = { 'ACCEPTED', int(#ids) }
for _, id in ipairs(ids) do
  local row = read_row(id)
  -- The index is a hint (rule 8.7): a row that was not abandoned is only taken out of it.
  if not row or row.state ~= ABANDONED then
    index_remove(K .. UNRESOLVED_INDEX, id)
  elseif write_resolution(row, resolution, kind) then
    reply[#reply + 1] = id
  end
end
commit()
return reply
