--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "lane_names"
--- @include "lane_number"
--- @include "place_index"
--- @include "waiting/await_others"
--- @include "waiting/join_group"
--- @include "ending/finish"
--- @include "change_key"
--- @include "next_sequence"
--- @include "score_of"
--- @include "store_payload"
--- @include "count_as_new"
--- @include "label_keys"
--- @include "tombstone_of"
--- @include "content_of"
--- @include "unique/meet_duplicate"
--- @include "watch_expiry"
-- The rows that are new in this call.
local fresh = {}

-- Part what the row stores from what the caller asks for; the row takes what the transition looks at.
local NOTHING = {}
local function part_further_fields(row, further)
  if #further == 0 then
    return NOTHING, NOTHING
  end
  local stored_fields, asked = {}, {}
  for at = 1, #further, 2 do
    local name, value = further[at], further[at + 1]
    if name == 'ch' then
      row.is_chosen = true
    elseif string.sub(name, 1, 1) == '+' then
      asked[string.sub(name, 2)] = value
    else
      stored_fields[#stored_fields + 1], stored_fields[#stored_fields + 2] = name, value
      row.priority = name == 'pr' and value or row.priority
      row.labels = name == 'lb' and value or row.labels
      row.cost = name == 'co' and value or row.cost
      row.unique = name == 'uq' and value or row.unique
      row.group = name == 'gp' and value or row.group
      row.waiters = name == 'w' and value or row.waiters
      row.grantee = name == 'gr' and value or row.grantee
    end
  end
  return stored_fields, asked
end

-- When the row may enter its lane, if that is later than now.
local function due_of(asked)
  local due = asked['in'] and now + tonumber(asked['in']) or tonumber(asked.at)
  return due and due > now and int(due) or nil
end

-- The place of a new row, where it stands there, and what it cannot wait for.
local function place_of(row, asked)
  if row.disposition == EXTERNALLY_OWNED then
    row.sequence = next_sequence()
    return OUTSIDE, now_text
  end
  row.expiry = asked.expire and int(now + tonumber(asked.expire))
  watch_expiry(row)
  row.due = due_of(asked)
  if asked.after or asked.group then
    return BLOCKED, now_text, await_others(row, asked, fresh, finish)
  elseif row.due then
    plan_due(tonumber(row.due), queue_of(row.lane))
    return DELAYED, row.due
  end
  row.sequence = next_sequence()
  if not scopes_of(row.lane) then
    wake(row.lane)
  end
  return QUEUED, row.priority and score_of(row) or row.sequence
end

-- Plan the row of a new process; `further` has fields and asks by turns (see register). Return what it is: 'new',
-- 'known' (the same content is or was registered, and nothing is planned), or a 'conflict' (other content). What is
-- unique may also meet an 'existing' row that it is answered with, or a 'duplicate' for which it is refused; its id
-- follows. What cannot wait for another one ('awaits') or be a member of its group ('joins') is followed by that one's
-- id, and why. Whoever knows already that there is no such row says so (is_unknown).
local function register_row(id, disposition, lane, input, content, further, is_unknown)
  local known = not is_unknown and redis.call('EXISTS', row_key(id)) == 1
  local row = { id = id, disposition = disposition, lane = lane }
  local fields, asked = part_further_fields(row, further)
  local stands = known and content_of(id) or row.is_chosen and tombstone_of(id)
  if stands and stands ~= content_of(id, { content, disposition, lane, row.grantee or false, input }) then
    return 'conflict'
  end
  known = known or stands
  local is_member, no_member
  if row.group then
    is_member, no_member = join_group(row, known, finish)
  end
  if known or is_member or no_member then
    return no_member and 'joins' or 'known', no_member
  end
  if asked.un then
    local meets, other = meet_duplicate(row, asked, tonumber(due_of(asked)))
    if meets then
      return meets, other
    end
  end
  local place, score, unawaited = place_of(row, asked)
  fresh[id] = row
  index_add(place_index(row, place), score, id)
  change_key(row, nil, place, score)
  write_row(id, 'd', row.is_chosen and disposition .. CHOSEN or disposition, 'ph', place, 'ln',
    lane_number(lane), 'in', store_payload('i:', id, input), 'at', now_text)
  if row.sequence then
    write_row(id, 'sq', row.sequence)
  end
  if content ~= '' then
    write_row(id, 'cd', content)
  end
  if row.due then
    write_row(id, 'du', row.due)
  end
  if row.awaits then
    write_row(id, 'aw', row.awaits)
  end
  for _, key in ipairs(row.labels and label_keys(row) or NOTHING) do
    index_add(key, now_text, id)
  end
  if row.expiry then
    write_row(id, 'xp', row.expiry)
  end
  if #fields > 0 then
    write_row(id, unpack(fields))
  end
  count_as_new(row, place)
  return unawaited and 'awaits' or 'new', unawaited
end
