--- @include "partition"
--- @include "row"
--- @include "row_reply"
-- Whole rows of these ids, '' for one that is not there: as many as one answer may carry, and one at least.
local function rows_reply(ids)
  local reply, bytes = { 'ROWS' }, 0
  for _, id in ipairs(ids) do
    local row = redis.call('EXISTS', row_key(id)) == 1 and row_reply(id) or ''
    if row ~= '' then
      bytes = bytes + #row[3] + #row[4]
      for _, value in ipairs(row[2]) do
        bytes = bytes + #value
      end
    end
    if bytes > MAX_BYTES and #reply > 1 then
      return reply
    end
    reply[#reply + 1] = row
  end
  return reply
end
