--- @include "owner_named"
-- A status word with the row's lease.
local function holder_reply(status, row)
  return { status, row.holder, owner_named(row.holder), row.token, row.fence, row.claimed, row.expires }
end
