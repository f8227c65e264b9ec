--- @include "partition"
--- @include "row"
--- @include "extend_lease"
--- @include "take_lease"
--- @include "input_of"
--- @include "lane_of"
-- The answer was lost, and the worker asks for the same rows. Those that nobody took since are leased anew (rule 8.5),
-- with the same token and fence. What became uncertain meanwhile has a new fence: it is its starter's alone.
local function hand_out_again(me, number, stem, ttl, answer)
  local key, first, last = K .. 'of:' .. me, number .. '001', number .. MAX_BATCH
  local found = redis.call('ZRANGEBYSCORE', key, first, last, 'WITHSCORES', 'LIMIT', '0', int(MAX_BATCH))
  for i = 1, #found, 2 do
    local id, score = found[i], found[i + 1]
    local row = read_row(id)
    local is_held = row and not row.state and row.holder == me
    local is_mine = row and not row.state and row.place == UNCERTAIN and row.starter == me
    -- Of this claim is a lease whose token has its stem.
    if is_held and string.sub(row.token or '', 1, #stem) == stem then
      extend_lease(row, ttl)
    elseif is_mine and string.sub(row.start_token or '', 1, #stem) == stem then
      take_lease(row, me, row.start_token, int(now + ttl), score)
    else
      row = nil
    end
    if row then
      local input = input_of(id, redis.call('HGET', row_key(id), 'in'))
      answer(id, row.token, row.fence, lane_of(row), row.disposition, input, row.retries)
    end
  end
end
