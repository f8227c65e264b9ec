--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "moving/enter_lane"
--- @include "moving/move_to"
--- @include "next_fence"
-- A row hears of the ends of processes. It moves only if it still waits for them: into its lane, or to *delayed*, once
-- it waits for none. One that needs their completion is cancelled once one of them has ended otherwise, a group's not
-- before it is closed. An end is what ended (id), whether it counts as completed, whether it is abandoned and not
-- resolved (open), and its state. `end_row` is finish.
local function hear_of(id, ends, end_row)
  local key, ids = K .. 'awaits:' .. id, { '*' }
  for _, each in ipairs(ends) do
    ids[#ids + 1] = each.id
  end
  local row, scores, left = read_row(id), redis.call('ZMSCORE', key, unpack(ids)), redis.call('ZCARD', key)
  local waits = row and row.place == BLOCKED
  local needs_completion = waits and string.sub(row.awaits, 1, 1) == 'c'
  local is_held_open, reason = scores[1], waits and string.match(row.awaits, ' (.*)')
  for at, each in ipairs(ends) do
    if scores[at + 1] and not (needs_completion and each.open) then
      index_remove(key, each.id)
      left = left - 1
      is_held_open = is_held_open and each.id ~= '*'
      if needs_completion and not each.completed and not reason then
        reason = each.id .. ' ' .. each.state
        row.awaits = row.awaits .. ' ' .. reason
        write_row(id, 'aw', row.awaits)
      end
    end
  end
  if not waits then
    return
  elseif reason and not is_held_open then
    end_row(row, CANCELLED, '', next_fence(row))
  elseif left == 0 and row.due and number_in(row.due) > now then
    move_to(row, DELAYED, row.due)
    plan_due(number_in(row.due), queue_of(row.lane))
  elseif left == 0 then
    enter_lane(row)
  end
end
