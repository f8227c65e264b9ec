-- schedules: read one page of the schedules of a partition, in the order of their names, without their inputs.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  name after which the page begins ('' at first)   ARGV 2 limit
-- reply   SCHEDULES now (name, revision, spec, zone, missed, late, lane, paused, from, due, last tick, number missed,
--         last missed, number refused, those refused last, declared, undeclared, differs, pause) x found;
--         '' for what is not
-- bound   schedules <= 500
--- @include "partition"
--- @include "page_of_names"
local after, limit = ARGV[1], ARGV[2]

local reply = { 'SCHEDULES', now_text }
for _, name in ipairs(page_of_names(K .. 'schedules', after, limit)) do
  local f = redis.call('HMGET', K .. 'schedule:' .. name, 'rv', 'sp', 'zo', 'mi', 'la', 'ln', 'pa', 'fr', 'du',
    'nm', 'lm', 'nr', 'lr', 'de', 'un', 'ot', 'pb')
  local last_tick = redis.call('ZRANGE', K .. 'ticks:' .. name, '0', '0', 'REV')[1]
  reply[#reply + 1] = name
  for field = 1, 9 do
    reply[#reply + 1] = f[field] or ''
  end
  reply[#reply + 1] = last_tick or ''
  for field = 10, 17 do
    reply[#reply + 1] = f[field] or ''
  end
end
return reply
