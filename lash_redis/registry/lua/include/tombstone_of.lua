--- @include "partition"
-- What is kept of a row that retention forgot and whose id its caller had chosen: content digest, state and when it
-- ended, ms. Nil if nothing is.
local function tombstone_of(id)
  local text = text_at(K .. 't:' .. id)
  if text then
    return string.sub(text, 15), string.sub(text, 1, 1), tonumber(string.sub(text, 2, 14))
  end
end
