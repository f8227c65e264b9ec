-- resume: let a queue or a task that was paused begin again, and wake workers for what waits.
-- needs:  nothing                 twice: it is not paused any more
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  'q:' and a queue, or 't:' and a task
-- reply   RESUMED
-- bound   500 names of lanes, 16 lanes woken for; workers find the others in their slow poll
--- @include "partition"
--- @include "planned_writes"
--- @include "wake_if_any"
local name = ARGV[1]
local MAX_WAKES = 16

if redis.call('HEXISTS', K .. 'paused', name) == 0 then
  return { 'RESUMED' }
end
local left = {}
for other in string.gmatch(header[4] or '', '%S+') do
  if other ~= name then
    left[#left + 1] = other
  end
end
clear_hash('paused', name)
header[4] = #left > 0 and table.concat(left, ' ')
if header[4] then
  set_header('paused', header[4])
else
  set_header('paused', nil)
end

-- A lane begins with its queue and "|". The character after "|" leads past all lanes of one queue.
local kind, named = string.match(name, '^(.):(.*)$')
local from, upto = '-', '+'
if kind == 'q' then
  from, upto = '[' .. named .. '|', '(' .. named .. '}'
end
local wakes = 0
for _, lane in ipairs(redis.call('ZRANGEBYLEX', K .. 'lanes', from, upto, 'LIMIT', '0', int(MAX_BATCH))) do
  if (kind == 'q' or string.match(lane, '^[^|]*|([^|]*)|') == named) and wake_if_any(lane) then
    wakes = wakes + 1
    if wakes == MAX_WAKES then
      break
    end
  end
end
commit()
return { 'RESUMED' }
