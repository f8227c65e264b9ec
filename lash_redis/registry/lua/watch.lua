-- watch: read whole rows, and note on those not terminal that this client wants to be told.
-- needs:  nothing                 twice: the client is noted once
-- KEYS 1  partition prefix
-- ARGV 1  client's channel   ARGV 2.. ids
-- reply   ROWS (row or '') x ids
-- bound   rows <= 500, clients told <= 32 a row (the others find out by their slow reads)
--- @include "plan"
--- @include "replies"
local client = ARGV[1]

local rows = {}
for at = 2, #ARGV do
  local row = read_row(ARGV[at])
  rows[#rows + 1] = row or false
  local waiting = row and row.waiters or ''
  local noted = string.find(' ' .. waiting .. ' ', ' ' .. client .. ' ', 1, true)
  if row and not row.state and not noted and #waiting + 1 < 32 * (#client + 1) then
    write_row(row.id, 'w', waiting == '' and client or waiting .. ' ' .. client)
  end
end
commit()
local reply = { 'ROWS' }
for _, row in ipairs(rows) do
  reply[#reply + 1] = row and row_reply(row.id) or ''
end
return reply
