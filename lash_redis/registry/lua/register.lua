-- register: write new processes into their lanes (or outside, or delayed), all of the batch or none.
-- needs:  the namespace's header  twice: the same content answers as known, other content is a conflict
-- flags   none
-- connections calls
-- KEYS 1  partition header
-- ARGV 1.. (id, disposition, lane, input, content digest, number of further fields,
--         (field, value) x further fields) x rows
--         A further field is stored as it is. One whose name begins with '+' asks for something: '+in' ms or '+at' ms
--         (since the epoch) delays the row.
-- reply   REGISTERED now ('1' new, '0' known) x rows · CONFLICT id..
-- bound   rows <= 500
--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "place_index"
--- @include "next_sequence"
--- @include "score_of"
--- @include "store_payload"
local conflicts, reply = { 'CONFLICT' }, { 'REGISTERED', now_text }

-- Part what the row stores from what the caller asks for; the row takes what the transition looks at.
local function further_fields(row, first, last)
  local stored_fields, asked = {}, {}
  for at = first, last, 2 do
    local name, value = ARGV[at], ARGV[at + 1]
    if string.sub(name, 1, 1) == '+' then
      asked[string.sub(name, 2)] = value
    else
      stored_fields[#stored_fields + 1], stored_fields[#stored_fields + 2] = name, value
      row.priority = name == 'pr' and value or row.priority
    end
  end
  return stored_fields, asked
end

-- When the row may enter its lane, if that is later than now.
local function due_of(asked)
  local due = asked['in'] and now + tonumber(asked['in']) or tonumber(asked.at)
  return due and due > now and int(due) or nil
end

-- The place of a new row, and where it stands there.
local function place_of(row, asked)
  if row.disposition == EXTERNALLY_OWNED then
    row.sequence = next_sequence()
    return OUTSIDE, now_text
  end
  row.due = due_of(asked)
  if row.due then
    plan_due(tonumber(row.due), queue_of(row.lane))
    return DELAYED, row.due
  end
  row.sequence = next_sequence()
  wake(row.lane)
  return QUEUED, score_of(row)
end

local at = 1
while at < #ARGV do
  local id, disposition, lane, input, content, further = unpack(ARGV, at, at + 5)
  local first, following = at + 6, at + 6 + 2 * tonumber(further)
  at = following
  local known = redis.call('HGET', row_key(id), 'cd')
  if known and known ~= content then
    conflicts[#conflicts + 1] = id
  end
  reply[#reply + 1] = known and '0' or '1'
  if not known then
    local row = { id = id, disposition = disposition, lane = lane }
    local fields, asked = {}, {}
    if following > first then
      fields, asked = further_fields(row, first, following - 1)
    end
    local place, score = place_of(row, asked)
    index_add(place_index(row, place), score, id)
    write_row(id, 'd', disposition, 'ph', place, 'ln', lane, 'in', store_payload(K .. 'i:' .. id, input),
      'cd', content, 'at', now_text)
    if row.sequence then
      write_row(id, 'sq', row.sequence)
    end
    if row.due then
      write_row(id, 'du', row.due)
    end
    if #fields > 0 then
      write_row(id, unpack(fields))
    end
  end
end
if #conflicts > 1 then
  return conflicts
end
commit()
return reply
