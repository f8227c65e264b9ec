-- declare_schedules: store the schedules that code declares, each by its revision.
-- needs:  the namespace's header  twice: they are known as they are
-- flags   none
-- connections calls
-- KEYS 1  partition header
-- ARGV 1.. (name, revision, digest of the content, zone, late after ms, missed rule, spec, disposition, lane, input,
--         content digest of its processes, number of further fields, (field, value) x further fields) x schedules
-- reply   DECLARED (word, note) x schedules
--         word: new, changed or same; older: a higher revision stands; differs: other content with the same revision
--         stands; due: nothing was done, since the ticks that the note tells of come first
-- bound   schedules <= 500, inputs of 1 MiB
-- A schedule that is changed stays paused if it is, and the instants that were submitted stay known.
--- @include "partition"
--- @include "planned_writes"
--- @include "read_schedule"
--- @include "look_at_schedule"
local function store_schedule(name, fields, schedule)
  local key, stored_anew = 'schedule:' .. name, {}
  for at = 1, #fields, 2 do
    stored_anew[fields[at]] = true
  end
  local stands = schedule and redis.call('HGETALL', K .. key) or {}
  for at = 1, #stands, 2 do
    if string.sub(stands[at], 1, 1) == 'x' and not stored_anew[stands[at]] then
      clear_hash(key, stands[at])
    end
  end
  write_hash(key, unpack(fields))
  index_add(K .. 'schedules', '0', name)
  if schedule and schedule.pause then
    write_hash(key, 'fr', now_text, 'du', '')
  else
    look_at_schedule(name, fields[4])
  end
end

-- What the declaration means for what stands: a word of the reply.
local function judged(schedule, revision, digest)
  if not schedule then
    return 'new'
  end
  local stands = tonumber(schedule.revision)
  if stands > revision then
    return 'older'
  elseif stands == revision then
    return schedule.digest == digest and 'same' or 'differs'
  end
  return schedule.note and 'due' or 'changed'
end

local reply = { 'DECLARED' }
local at = 1
while at < #ARGV do
  local name, revision, digest, zone, late, missed, spec, disposition, lane, input, content, further =
    unpack(ARGV, at, at + 11)
  local first, following = at + 12, at + 12 + 2 * tonumber(further)
  local schedule = read_schedule(name)
  local word = judged(schedule, tonumber(revision), digest)
  if word == 'new' or word == 'changed' then
    local fields = {
      'rv', revision, 'ln', lane, 'dg', digest, 'zo', zone, 'la', late, 'mi', missed, 'sp', spec, 'd', disposition,
      'in', input, 'cd', content, 'de', now_text,
    }
    for field = first, following - 1, 2 do
      fields[#fields + 1], fields[#fields + 2] = 'x' .. ARGV[field], ARGV[field + 1]
    end
    store_schedule(name, fields, schedule)
    clear_hash('schedule:' .. name, 'un', 'ot')
  elseif word == 'same' then
    write_hash('schedule:' .. name, 'de', now_text)
    clear_hash('schedule:' .. name, 'un', 'ot')
  elseif word == 'differs' then
    write_hash('schedule:' .. name, 'de', now_text, 'ot', now_text)
  end
  reply[#reply + 1], reply[#reply + 2] = word, word == 'due' and schedule.note or ''
  at = following
end
commit()
return reply
