--- @include "row"
--- @include "owners"
-- What more than one script answers.
local function holder_reply(status, row)
  return { status, row.holder, owner_named(row.holder), row.token, row.fence, row.claimed, row.expires }
end

local function starter_reply(row)
  return { 'STARTED_BY', row.starter, owner_named(row.starter) }
end

-- A whole row: its fields, the long payloads that stand beside it, the owners that it names, whether its lease is
-- live, and the server's time. It reads after the writes: of keys that were read before them, so it cannot fail.
local function row_reply(id)
  local fields = redis.call('HGETALL', row_key(id))
  local by_name = {}
  for i = 1, #fields, 2 do
    by_name[fields[i]] = fields[i + 1]
  end
  local input = by_name['in'] == '' and redis.call('GET', K .. 'i:' .. id) or ''
  local outcome = by_name.oc == '' and redis.call('GET', K .. 'o:' .. id) or ''
  local live = by_name.ph == LEASED and now < tonumber(by_name.ex)
    and redis.call('GET', lease_key(id)) == by_name.tk
  return { id, fields, input or '', outcome or '', owner_named(by_name.fs), owner_named(by_name.ho),
    live and '1' or '0', int(now) }
end
