--- @include "owner_named"
-- The refusal of work that another owner or token started.
local function starter_reply(row)
  return { 'STARTED_BY', row.starter, owner_named(row.starter) }
end
