-- store_bounds: say how many rows that nobody has claimed yet may wait in queues; a lower revision replaces none.
-- needs:  the namespace's header  twice: what stands is answered again
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1.. (queue, revision, most in the namespace ('' if any number may wait), most in this partition ('' likewise))
--         x queues
-- reply   BOUNDED (revision, most in the namespace) x queues: what stands · TOO_MANY
-- bound   100 queues
-- The same revision with other content leaves what stands, and notes what it would have been.
--- @include "partition"
--- @include "planned_writes"
local MAX_QUEUES = 100

local bounds, number_of_bounds = {}, 0
for queue, most in string.gmatch(header[5] or '', '(%S+)=(%d+)') do
  bounds[queue], number_of_bounds = most, number_of_bounds + 1
end

-- Plan the bound of one queue; return what stands then: revision and most in the namespace.
local function bound(queue, revision, most, part)
  local stands = redis.call('HGET', K .. 'bounds', queue)
  local standing, standing_most = string.match(stands or '', '^(%d+) (%d*)')
  if standing and tonumber(standing) >= tonumber(revision) then
    if standing == revision and standing_most ~= most then
      write_hash('bounds', queue, standing .. ' ' .. standing_most .. ' ' .. (most == '' and 'any' or most))
    end
    return standing, standing_most
  end
  number_of_bounds = number_of_bounds + (part ~= '' and 1 or 0) - (bounds[queue] and 1 or 0)
  bounds[queue] = part ~= '' and part or nil
  write_hash('bounds', queue, revision .. ' ' .. most)
  return revision, most
end

local reply = { 'BOUNDED' }
for at = 1, #ARGV, 4 do
  reply[#reply + 1], reply[#reply + 2] = bound(unpack(ARGV, at, at + 3))
end
if number_of_bounds > MAX_QUEUES then
  return { 'TOO_MANY' }
end
local words = {}
for queue, most in pairs(bounds) do
  words[#words + 1] = queue .. '=' .. most
end
table.sort(words)
local text = table.concat(words, ' ')
if text ~= (header[5] or '') then
  if text == '' then
    set_header('bounded', nil)
  else
    set_header('bounded', text)
  end
end
commit()
return reply
