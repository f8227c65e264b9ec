-- renew_owned: move the expiry of every live lease that these owners hold, found by their index.
-- needs:  to speak for the owners twice: the expiry is only moved again
-- flags   allow-oom
-- line    control
-- KEYS 1  partition prefix
-- ARGV 1  ttl, ms   ARGV 2 index in owners, ARGV 3 score, ARGV 4 skip: where the page begins
-- ARGV 5.. owner digests
-- reply   RENEWED index score skip (owner, id, token, fence, cancel request or '', abandon request or '') x rows;
--         what is not listed was not renewed; index '' at the end
-- bound   rows <= 500
--- @include "pages"
--- @include "plan"
local ttl, index, score, skip = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])

local room = 500
local reply = { 'RENEWED', '', '', '' }
while ARGV[4 + index] do
  local me = ARGV[4 + index]
  local ids, next_score, next_skip = page_of(K .. 'of:' .. me, score, skip, '+inf', room)
  local leases = {}
  for i, id in ipairs(ids) do
    leases[i] = K .. 'l:' .. id
  end
  local tokens = #ids > 0 and redis.call('MGET', unpack(leases)) or {}
  for i, id in ipairs(ids) do
    local f = redis.call('HMGET', K .. 'p:' .. id, 'ho', 'tk', 'ex', 'fe', 'cr', 'ar')
    if f[1] == me and f[2] and f[2] == tokens[i] and now < tonumber(f[3]) then
      local expires = int(math.max(tonumber(f[3]), now + ttl))
      index_add(K .. 'leases', expires, id)
      store(leases[i], f[2], expires)
      write_row(id, 'ex', expires)
      for _, value in ipairs({ me, id, f[2], f[4], f[5] or '', f[6] or '' }) do
        reply[#reply + 1] = value
      end
    end
  end
  index_add(K .. 'seen', int(now), me)
  room = room - #ids
  if next_score then
    reply[2], reply[3], reply[4] = int(index), next_score, int(next_skip)
    break
  end
  index, score, skip = index + 1, '-inf', 0
  if room <= 0 then
    if ARGV[4 + index] then
      reply[2], reply[3], reply[4] = int(index), score, '0'
    end
    break
  end
end
commit()
return reply
