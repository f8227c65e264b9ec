-- retain: forget a page of what need not be kept: results past their time, and terminal rows by age, count or memory.
-- needs:  nothing                 twice: the next page
-- flags   allow-oom
-- connections control
-- KEYS 1  partition header
-- ARGV 1  limit   ARGV 2 how long a row is kept, ms   ARGV 3 how many rows of a task are kept
-- ARGV 4  how long the id of a forgotten row is kept, if its caller chose it, ms
-- ARGV 5  '1' if the server's memory is short: the oldest rows go, whatever their age
-- reply   RETAINED rows results
-- bound   rows <= 500 of each kind of reason, one index for each task and state
--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "ended_index"
--- @include "ended_kinds"
--- @include "oldest_ended"
--- @include "forget_row"
--- @include "forget_result"
--- @include "leave_tombstone"
local limit, keep_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local keep_rows, keep_ids_ms = tonumber(ARGV[3]), tonumber(ARGV[4])
local is_memory_short = ARGV[5] == '1'

local seen, looked, forgotten, results, forgotten_of = {}, 0, 0, 0, {}

local function past_their_time(key)
  return redis.call('ZRANGEBYSCORE', key, '-inf', now_text, 'LIMIT', '0', int(limit))
end

-- The continuation of a group reads how its members ended: these are no surplus before it has ended, while there are
-- no more than so many times the rows of their task that are kept.
local SPARED = 10
local groups_wait = {}
local function is_spared(row, rows)
  local group = row.group
  if not group or rows > SPARED * keep_rows then
    return false
  elseif groups_wait[group] == nil then
    local f = fields_of(redis.pcall('HMGET', row_key(group), 'd', 'ts'))
    groups_wait[group] = f[1] and not f[2] or false
  end
  return groups_wait[group]
end

-- The index is a hint (rule 8.7): a row that did not end so is only taken out of it. Of a surplus, `rows` are those of
-- the task.
local function forget(id, kind, rows)
  if seen[id] then
    return
  end
  seen[id], looked = true, looked + 1
  local row = read_row(id)
  if not row or row.state ~= kind.state then
    index_remove(ended_index(kind.name), id)
    return
  end
  local gone = forgotten_of[kind.task] or 0
  if rows and is_spared(row, rows - gone) or not forget_row(row) then
    return
  end
  if row.is_chosen and keep_ids_ms > 0 then
    leave_tombstone(row, keep_ids_ms)
  end
  forgotten, forgotten_of[kind.task] = forgotten + 1, gone + 1
end

local function forget_old(kinds)
  local before = '(' .. int(now - keep_ms)
  for _, kind in ipairs(kinds) do
    local key, most = ended_index(kind.name), int(math.max(0, limit - looked))
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', before, 'LIMIT', '0', most)) do
      forget(id, kind)
    end
  end
end

local function forget_oldest(kinds, most, rows)
  for _, entry in ipairs(most > 0 and oldest_ended(kinds, most) or {}) do
    forget(entry.id, entry.kind, rows)
  end
end

-- Of each task what is beyond the number that is kept. What was forgotten already stands first in its indexes.
local function forget_surplus(kinds)
  local of_task, rows = {}, {}
  for _, kind in ipairs(kinds) do
    table.insert(list_for(of_task, kind.task), kind)
    rows[kind.task] = (rows[kind.task] or 0) + kind.rows
  end
  for task, its_kinds in pairs(of_task) do
    local surplus = rows[task] - keep_rows
    if surplus > (forgotten_of[task] or 0) then
      forget_oldest(its_kinds, math.min(surplus, limit - looked + (forgotten_of[task] or 0)), rows[task])
    end
  end
end

for _, id in ipairs(past_their_time(K .. 'results')) do
  local row = read_row(id)
  results = results + 1
  if row and row.state == COMPLETED then
    forget_result(id)
  else
    index_remove(K .. 'results', id)
  end
end
for _, id in ipairs(past_their_time(K .. 'tombstones')) do
  index_remove(K .. 'tombstones', id)
end

-- What nobody has resolved is counted, and in no index of ended rows: nothing forgets it.
local kinds = ended_kinds()
for _, kind in ipairs(kinds) do
  kind.rows = kind.state == ABANDONED and redis.call('ZCARD', ended_index(kind.name)) or kind.rows
end
forget_old(kinds)
if looked < limit then
  forget_surplus(kinds)
end
if looked < limit and is_memory_short then
  forget_oldest(kinds, limit - looked)
end
commit()
return { 'RETAINED', int(forgotten), int(results) }
