-- holders: read one page of the owners that hold something or started owner-bound work that is not settled.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  digest after which the page begins ('' at first)   ARGV 2 limit
-- ARGV 3  '*' for all; else only those recorded dead, and those of this machine, by its digest ('' if it has none)
-- reply   OWNERS (digest, owner, death or '') x found
-- bound   owners <= 500; of the owners of a machine that hold something each is looked at
--- @include "partition"
--- @include "page_of_names"
local after, limit, host = ARGV[1], ARGV[2], ARGV[3]

-- Whose death may be known or proven: the smaller set is walked.
local function near()
  local is_listed, found, page = {}, {}, {}
  for _, index in ipairs({ '-', host ~= '' and host or nil }) do
    for _, digest in ipairs(redis.call('ZINTER', '2', K .. 'on:' .. index, K .. 'holders')) do
      if digest > after and not is_listed[digest] then
        is_listed[digest], found[#found + 1] = true, digest
      end
    end
  end
  table.sort(found)
  for at = 1, math.min(#found, tonumber(limit)) do
    page[at] = found[at]
  end
  return page
end

local reply = { 'OWNERS' }
local digests = host == '*' and page_of_names(K .. 'holders', after, limit) or near()
if #digests > 0 then
  local owners = redis.call('HMGET', K .. 'owners', unpack(digests))
  local deaths = redis.call('HMGET', K .. 'dead', unpack(digests))
  for at, digest in ipairs(digests) do
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3] = digest, owners[at] or '', deaths[at] or ''
  end
end
return reply
