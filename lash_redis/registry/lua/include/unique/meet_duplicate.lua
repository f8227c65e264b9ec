--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "waiting/row_in_call"
--- @include "ending/finish"
--- @include "next_fence"
--- @include "never_claimed_in"
-- Nobody has begun it or holds it, nothing awaits it, the new row neither, and it is no member of a group.
local function may_give_way(other, asked)
  local is_free = other.place == QUEUED or other.place == DELAYED or other.place == BLOCKED
  local is_named = string.find(' ' .. (asked.after or '') .. ' ', ' ' .. other.id .. ' ', 1, true)
  return is_free and not other.starter and not other.dependents and not is_named and not other.group
end

-- Whether a row still counts for whoever asks: until it ends, until it starts, or for so long after its submit.
local function still_counts(other, ends, within)
  if within > 0 then
    return now < other.registered + within
  end
  return not other.state and (ends == 'end' or not other.starter)
end

-- Let a delayed row wait anew, at most so long after its first submit. The same submit moves it once.
local function put_off(row, other, asked, due, longest)
  local at = math.min(due, other.registered + longest)
  if other.place ~= DELAYED or not may_give_way(other, asked) or other.moved_by == row.id or at <= now then
    return
  end
  index_add(K .. INDEX[DELAYED], int(at), other.id)
  write_row(other.id, 'du', int(at), 'ud', row.id)
  plan_due(at, queue_of(other.lane))
end

-- Look for a row with the unique key of a new one, which is to be registered unless this returns what it meets:
-- 'existing' or 'duplicate' (it is refused), and the other's id. What is replaced ends here. The index is a hint: the
-- other row says itself which key it has, and whether it still counts. Another row of the call may wait for it.
local function meet_duplicate(row, asked, due)
  local ends, does, within, longest = string.match(asked.un, '^(%S+) (%S+) (%d+) (%d+)$')
  local key = K .. 'u:' .. row.unique
  local id = text_at(key)
  local other = id and row_in_call(id)
  if other and other.unique == row.unique then
    local f = redis.call('HMGET', row_key(id), 'at', 'ud')
    other.registered, other.moved_by = number_in(f[1]), f[2]
    if still_counts(other, ends, tonumber(within)) then
      if does == 'refuse' then
        return 'duplicate', id
      elseif does ~= 'replace' or other.state or not may_give_way(other, asked) then
        if does == 'debounce' and not other.state then
          put_off(row, other, asked, due or now, tonumber(longest))
        end
        return 'existing', id
      end
      if other.new then
        never_claimed_in(queue_of(other.lane), -1)
      end
      finish(other, CANCELLED, '', next_fence(other))
      write_row(id, 'cr', asked.ur)
      other.state = CANCELLED
    end
  end
  store(key, row.id)
end
