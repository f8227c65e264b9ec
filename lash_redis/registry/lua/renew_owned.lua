-- renew_owned: move the expiry of every live lease that these owners hold, found by their index.
-- needs:  to speak for the owners, and the namespace's header   twice: the expiry is only moved again
-- flags   allow-oom
-- connections control
-- KEYS 1  partition header
-- ARGV 1  ttl, ms   ARGV 2 number of the owner, ARGV 3 score, ARGV 4 skip: the cursor at
--         which the page starts   ARGV 5.. owner digests
-- reply   RENEWED number score skip (owner, id, token, fence, cancel request or '', abandon request or '') x rows;
--         what is not listed was not renewed; number '' at the end
-- bound   rows <= 200: a call takes some milliseconds, however many leases there are
--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "extend_lease"
--- @include "page_of"
local ttl, number, score, skip = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])

local reply = { 'RENEWED', '', '', '' }

local function renew(me, ids)
  local keys = {}
  for i, id in ipairs(ids) do
    keys[i] = lease_key(id)
  end
  local tokens = #ids > 0 and redis.call('MGET', unpack(keys)) or {}
  for i, id in ipairs(ids) do
    local f = fields_of(redis.pcall('HMGET', row_key(id), 'ho', 'tk', 'ex', 'fe', 'cr', 'ar'))
    local holder, token, expires = f[1], f[2], f[3]
    local lives = holder == me and token and token == tokens[i] and now < number_in(expires)
    if lives and number_in(f[4]) > 0 then
      extend_lease({ id = id, token = token, expires = expires }, ttl)
      local n = #reply
      reply[n + 1], reply[n + 2], reply[n + 3] = me, id, token
      reply[n + 4], reply[n + 5], reply[n + 6] = f[4], f[5] or '', f[6] or ''
    end
  end
end

-- So that a call holds the server up for some milliseconds (scripts/benchmarks/renewals.py).
local MAX_RENEWED = 200
local left = MAX_RENEWED
while ARGV[4 + number] do
  local me = ARGV[4 + number]
  local ids, next_score, next_skip = page_of(K .. 'of:' .. me, score, skip, '+inf', left)
  renew(me, ids)
  index_add(K .. 'seen', now_text, me)
  left = left - #ids
  if not next_score then
    number, score, skip = number + 1, '-inf', 0
  else
    score, skip = next_score, next_skip
  end
  if next_score or left <= 0 then
    if ARGV[4 + number] then
      reply[2], reply[3], reply[4] = int(number), score, int(skip)
    end
    break
  end
end
commit()
return reply
