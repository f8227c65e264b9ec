--- @include "partition"
--- @include "row"
--- @include "fits_in_row"
--- @include "is_paused"
--- @include "wake_one"
--- @include "never_claimed_in"
-- Most batches are of plain rows: new, of one lane that has a number and neither keys nor a bound, and alike in all but
-- id and content. They are written here, before anything is made that only others need. Nothing is refused once it is
-- known that a batch is one, so that nothing is planned: the writes are those of register_row, in the order of commit.

-- What the rows of such a batch store beside; nil if they ask for more. Chosen ids are marked, and looked for twice.
local MOST_SHAPE = 5
local function plain_fields(first)
  local more, is_chosen = {}, false
  for at = 5, first - 1, 2 do
    if ARGV[at] == 'ch' then
      is_chosen = true
    elseif ARGV[at] == 'w' then
      more = { 'w', ARGV[at + 1] }
    else
      return nil
    end
  end
  return more, is_chosen
end

-- Write the rows, which stand in the order of the batch in their lane.
local function write_plain(keys, first, width, disposition, lane, number, more)
  local sequence, scored, n = tonumber(header[7] or '0'), {}, 0
  for at = first, #ARGV, width do
    sequence = sequence + 1
    scored[n + 1], scored[n + 2] = string.format('%d', sequence), ARGV[at]
    n = n + 2
  end
  redis.call('ZADD', K .. 'q:' .. lane, unpack(scored))
  redis.call('ZADD', K .. 'lanes', '0', lane)
  local at, has_more = first, width == 3 or #more > 0
  for row = 1, n / 2 do
    local key, input, place = keys[row], ARGV[at + 1], scored[2 * row - 1]
    if not fits_in_row(input) then
      redis.call('SET', K .. 'i:' .. ARGV[at], input)
      input = ''
    end
    if has_more then
      local content = width == 3 and ARGV[at + 2] ~= '' and { 'cd', ARGV[at + 2], unpack(more) } or more
      redis.call('HSET', key, 'd', disposition, 'ph', QUEUED, 'ln', number, 'in', input, 'at', now_text, 'sq', place,
        unpack(content))
    else
      redis.call('HSET', key, 'd', disposition, 'ph', QUEUED, 'ln', number, 'in', input, 'at', now_text, 'sq', place)
    end
    at = at + width
  end
  redis.call('HSET', K .. 'hdr', 'sequence', scored[n - 1])
end

-- Register the batch and return the answer, or return nil and have written nothing if it is not one of plain rows.
local function register_plain()
  local rows, disposition, lane, shape = unpack(ARGV, 1, 4)
  if disposition == EXTERNALLY_OWNED or tonumber(shape or '') == nil or tonumber(shape) > MOST_SHAPE then
    return nil
  end
  local width, queue = 2 + shape % 2, string.match(lane, '^([^|]*)|[^|]*|[^|]*$')
  local first = 5 + shape - shape % 2
  local more, is_chosen = plain_fields(first)
  if first + rows * width ~= #ARGV + 1 or not queue or not more or never_claimed_in(queue, 0) then
    return nil
  end
  local number, keys, n, beginning = redis.call('HGET', K .. 'names', lane), {}, 0, K .. 'p:'
  for at = first, #ARGV, width do
    n = n + 1
    keys[n] = beginning .. ARGV[at]
  end
  for at = first, is_chosen and #ARGV or 0, width do
    n = n + 1
    keys[n] = K .. 't:' .. ARGV[at]
  end
  if not number or redis.call('EXISTS', unpack(keys)) > 0 then
    return nil
  end
  write_plain(keys, first, width, is_chosen and disposition .. CHOSEN or disposition, lane, number, more)
  if not is_paused(lane) then
    wake_one(queue, 'lane ' .. lane)
  end
  return { 'REGISTERED', now_text }
end

do
  local answer = register_plain()
  if answer then
    return answer
  end
end
