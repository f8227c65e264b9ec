-- watch: read whole rows, and note on those that are not terminal that this client wants to be told of the end.
-- needs:  nothing                 twice: the client is noted once
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  client's channel   ARGV 2.. ids
-- reply   ROWS (row or '') x ids, or x the first of them
-- bound   rows <= 500, 1 MiB (a longer row goes alone), clients told <= 32 a row, the latest (any other sees the end
--         in its next slow read)
--- @include "row"
--- @include "planned_writes"
--- @include "rows_reply"
local client = ARGV[1]

-- The client that was noted first goes: it may have ended long ago.
local function noted(waiting)
  local names = {}
  for name in string.gmatch(waiting, '%S+') do
    names[#names + 1] = name
  end
  names[#names + 1] = client
  return table.concat(names, ' ', math.max(1, #names - 31))
end

local ids = { unpack(ARGV, 2) }
local reply = rows_reply(ids)
for i = 1, #reply - 1 do
  local row = reply[i + 1] ~= '' and read_row(ids[i])
  local waiting = row and row.waiters or ''
  if row and not row.state and not string.find(' ' .. waiting .. ' ', ' ' .. client .. ' ', 1, true) then
    write_row(row.id, 'w', noted(waiting))
  end
end
commit()
return reply
