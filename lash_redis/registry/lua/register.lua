-- register: write new processes into their lanes (or outside, or delayed), all of the batch or none.
-- needs:  the namespace's header  twice: the same content answers as known, other content is a conflict
-- flags   none
-- connections calls
-- KEYS 1  partition header
-- ARGV 1.. (rows, disposition, lane, twice the number of further fields and 1 more if there are content digests,
--         (field, value) x further fields, (id, input, content digest or '' if there are any) x rows) x runs
--         A further field is stored as it is, but 'ch' as a letter of the disposition. One whose name begins with '+'
--         asks for something: '+in' ms or '+at' ms (since the epoch) delays the row; '+expire' ms ends it if nobody has
--         started it by then.
--         '+after' ids blocks it until these have ended, '+group' until its group is closed and has ended; '+by' says
--         how it waits: 'c' it needs their completion, 'r' it runs all the same.
--         '+un' (until, on_duplicate, within, longest) looks for another row of the same unique key, the field uq,
--         which no other row of the batch has; '+ur' is the cancel request that ends what is replaced.
-- reply   REGISTERED now: all are new
--         · REGISTERED now ('1' new, '0' known, '=' and the id of the one that is there instead) x rows · CONFLICT id..
--         · DUPLICATE id other: it is refused for another one that is there
--         · FULL queue waiting most: so many rows of a bounded queue wait that nobody has claimed yet
--         · UNAWAITED id other where · NO_MEMBER id group why
-- bound   rows <= 500, about 1000 ids that they wait for (their sender counts each as 1 KiB of payload)
--- @include "partition"
--- @include "register_plain"
--- @include "row"
--- @include "planned_writes"
--- @include "register_row"
--- @include "never_claimed_in"
local conflicts, reply, duplicate, full = { 'CONFLICT' }, { 'REGISTERED', now_text }, nil, nil
local why_not = nil

-- How many wait in each bounded queue that nobody has claimed, before this call.
local waited = {}

-- Note a queue that has more rows than may wait in it, now that another one is planned.
local function look_at_bound(queue, before)
  local waits, most = never_claimed_in(queue, 0)
  waited[queue] = waited[queue] or before
  if waits and waits > before and waits > most then
    full = { 'FULL', queue, int(waited[queue]), int(most) }
  end
end

-- Go through the rows: how many there are of a run, what they have in common, and where its first one stands.
local function each_run(act)
  local at = 1
  while at < #ARGV do
    local rows, disposition, lane, shape = unpack(ARGV, at, at + 3)
    local first, width = at + 4 + shape - shape % 2, 2 + shape % 2
    local fields = first > at + 4 and { unpack(ARGV, at + 4, first - 1) } or {}
    at = first + rows * width
    for row = first, at - 1, width do
      act(ARGV[row], disposition, lane, ARGV[row + 1], width == 3 and ARGV[row + 2] or '', fields)
    end
  end
end

-- Most ids are new, which one command tells of all of them.
local keys = {}
each_run(function(id)
  keys[#keys + 1] = row_key(id)
end)
local are_unknown = #keys > 0 and redis.call('EXISTS', unpack(keys)) == 0

each_run(function(id, disposition, lane, input, content, fields)
  local before = header[5] and never_claimed_in(queue_of(lane), 0)
  local became, other = register_row(id, disposition, lane, input, content, fields, are_unknown)
  if became == 'conflict' then
    conflicts[#conflicts + 1] = id
  elseif became == 'duplicate' then
    duplicate = duplicate or { 'DUPLICATE', id, other }
  elseif became == 'awaits' then
    why_not = why_not or { 'UNAWAITED', id, unpack(other) }
  elseif became == 'joins' then
    why_not = why_not or { 'NO_MEMBER', id, unpack(other) }
  end
  if before then
    look_at_bound(queue_of(lane), before)
  end
  reply[#reply + 1] = became == 'new' and '1' or became == 'existing' and '=' .. other or '0'
end)
if #conflicts > 1 then
  return conflicts
elseif duplicate or full or why_not then
  return duplicate or full or why_not
end
commit()
return reply
