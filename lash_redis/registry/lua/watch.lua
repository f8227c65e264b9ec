-- watch: read whole rows, and note on those that are not terminal that this client wants to be told of the end.
-- needs:  nothing                 twice: the client is noted once
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  client's channel   ARGV 2.. ids
-- reply   ROWS (row or '') x ids, or x the first of them
-- bound   rows <= 500, 1 MiB (a longer row goes alone), clients told <= 32 a row, the latest (any other sees the end
--         in its next slow read)
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

-- The clients that wait for a row; nil for one that has ended, or that is none. `fields` are as they are answered.
local function waiters_in(fields)
  local is_row, waiting = false, ''
  for at = 1, #fields, 2 do
    local name = fields[at]
    if name == 'ts' then
      return nil
    elseif name == 'w' then
      waiting = fields[at + 1]
    end
    is_row = is_row or name == 'd'
  end
  return is_row and waiting or nil
end

local ids = { unpack(ARGV, 2) }
local reply = rows_reply(ids)
for i = 1, #reply - 1 do
  local row = reply[i + 1]
  local waiting = row ~= '' and waiters_in(row[2])
  if waiting and not string.find(' ' .. waiting .. ' ', ' ' .. client .. ' ', 1, true) then
    write_row(ids[i], 'w', noted(waiting))
  end
end
commit()
return reply
