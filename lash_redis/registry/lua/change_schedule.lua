-- change_schedule: pause, resume, run or remove one schedule, or note that code does not declare it any more.
-- needs:  the schedule            twice: it is so already, and what was run is not run again
-- flags   none
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  what: pause, resume, run, remove, undeclare or check   ARGV 2 name   ARGV 3 id of the process of a run
-- ARGV 4  request of a pause
-- reply   DONE · ABSENT · DUE note (nothing was done, since the ticks that the note tells of come first)
-- bound   one schedule
--- @include "partition"
--- @include "planned_writes"
--- @include "read_schedule"
--- @include "look_at_schedule"
--- @include "register_row"
--- @include "tick_data"
local what, name, run_id, request = unpack(ARGV)
local key = 'schedule:' .. name

local changes = {}

function changes.pause(schedule)
  if not schedule.pause then
    write_hash(key, 'pa', now_text, 'pb', request, 'du', '')
    index_remove(K .. 'alarms', 'tick ' .. name)
  end
end

function changes.resume(schedule)
  if schedule.pause then
    clear_hash(key, 'pa', 'pb')
    look_at_schedule(name, schedule.lane)
  end
end

function changes.run()
  register_row(run_id, tick_data(name))
end

function changes.remove()
  drop(K .. key)
  drop(K .. 'ticks:' .. name)
  index_remove(K .. 'schedules', name)
  index_remove(K .. 'alarms', 'tick ' .. name)
end

function changes.undeclare()
  if redis.call('HEXISTS', K .. key, 'un') == 0 then
    write_hash(key, 'un', now_text)
  end
end

function changes.check()
  return nil
end

local found = read_schedule(name)
if not found then
  return { 'ABSENT' }
elseif found.note and (what == 'pause' or what == 'remove') then
  return { 'DUE', found.note }
end
changes[what](found)
commit()
return { 'DONE' }
