-- tick: submit the ticks of schedules that are due, each once, and set when each schedule is looked at again.
-- needs:  revision and 'decided up to' as they were read  twice: it answers the same
-- flags   none
-- connections calls
-- KEYS 1  partition header
-- ARGV 1.. (name, revision, decided up to, now decided up to, look again at ('' never), number missed, last one missed,
--         number of instants, instants..) x schedules; all times ms since the epoch
-- reply   TICKED (changed, or '=' and for each instant 's' submitted, 'r' refused) x schedules
-- bound   100 schedules; 100 instants in all, or the 100 of one schedule
-- An instant that was submitted is not submitted again, whatever the clock did: the last 100 are kept (rule 12.1).
-- While so many are kept, one that is older counts as submitted.
--- @include "partition"
--- @include "planned_writes"
--- @include "read_schedule"
--- @include "register_row"
--- @include "tick_data"
--- @include "never_claimed_in"
local KEPT = 100

-- Keep the instants that were submitted now, and forget as many of the oldest.
local function keep(key, instants, kept)
  for _, instant in ipairs(instants) do
    index_add(key, instant, instant)
  end
  local over = math.min(kept + #instants - KEPT, kept)
  for _, instant in ipairs(over > 0 and redis.call('ZRANGE', key, '0', int(over - 1)) or {}) do
    index_remove(key, instant)
  end
end

local function is_full(queue)
  local waits, most = never_claimed_in(queue, 0)
  return waits and waits >= most
end

-- Submit the instants that were not submitted yet, and return those that a bounded queue refused. They count too.
local function submit(name, instants)
  local key, data = K .. 'ticks:' .. name, { tick_data(name) }
  local kept = redis.call('ZCARD', key)
  local oldest = kept >= KEPT and tonumber(redis.call('ZRANGE', key, '0', '0')[1]) or 0
  local submitted_before = redis.call('ZMSCORE', key, unpack(instants))
  local submitted, refused = {}, {}
  for number, instant in ipairs(instants) do
    if not submitted_before[number] and tonumber(instant) > oldest then
      submitted[#submitted + 1] = instant
      if is_full(queue_of(data[2])) then
        refused[#refused + 1] = instant
      else
        register_row(name .. '::' .. instant, unpack(data))
      end
    end
  end
  keep(key, submitted, kept)
  return refused
end

-- Plan that this much is added to a number of the schedule.
local function add_to(name, field, more)
  if more > 0 then
    local key = 'schedule:' .. name
    write_hash(key, field, int(tonumber(redis.call('HGET', K .. key, field) or '0') + more))
  end
end

-- 's' or 'r' for each instant; `refused` has those that were refused, between spaces.
local function answer_of(instants, refused)
  local words = {}
  for number, instant in ipairs(instants) do
    words[number] = string.find(refused, ' ' .. instant .. ' ', 1, true) and 'r' or 's'
  end
  return '=' .. table.concat(words)
end

local reply = { 'TICKED' }
local at = 1
while at < #ARGV do
  local name, revision, from, new_from, next_due, missed, last_missed, number_of_instants = unpack(ARGV, at, at + 7)
  local first, following = at + 8, at + 8 + tonumber(number_of_instants)
  local instants = { unpack(ARGV, first, following - 1) }
  at = following
  local schedule = read_schedule(name)
  local is_same = schedule and schedule.revision == revision and not schedule.pause
  if is_same and schedule.from == from then
    local refused = #instants > 0 and submit(name, instants) or {}
    local refused_text = ' ' .. table.concat(refused, ' ') .. ' '
    write_hash('schedule:' .. name, 'fr', new_from, 'du', next_due)
    if #refused > 0 then
      write_hash('schedule:' .. name, 'lr', refused_text)
    end
    if missed ~= '0' then
      write_hash('schedule:' .. name, 'lm', last_missed)
    end
    add_to(name, 'nr', #refused)
    add_to(name, 'nm', tonumber(missed))
    if next_due == '' then
      index_remove(K .. 'alarms', 'tick ' .. name)
    else
      alarm_at(tonumber(next_due), queue_of(schedule.lane), 'tick ' .. name)
    end
    reply[#reply + 1] = answer_of(instants, refused_text)
  elseif is_same and schedule.from == new_from then
    reply[#reply + 1] = answer_of(instants, redis.call('HGET', K .. 'schedule:' .. name, 'lr') or '')
  else
    reply[#reply + 1] = 'changed'
  end
end
commit()
return reply
