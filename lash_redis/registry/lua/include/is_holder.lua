-- Whether the row names this very lease as its last one, live or lapsed.
local function is_holder(row, me, token, fence)
  return row.holder == me and row.token == token and row.fence == fence
end
