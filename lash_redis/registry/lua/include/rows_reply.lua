--- @include "partition"
--- @include "row"
--- @include "row_reply"
-- Whole rows of these ids, '' for one that is not there: as many as one answer may carry, and one at least.
local function rows_reply(ids)
  local reply, bytes = { 'ROWS' }, 0
  for _, id in ipairs(ids) do
    local row = row_reply(id)
    -- What is there and has no fields is no row: its reader says so.
    if #row[2] == 0 and redis.call('EXISTS', row_key(id)) == 0 then
      row = ''
    else
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
