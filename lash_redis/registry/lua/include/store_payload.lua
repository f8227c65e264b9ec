--- @include "planned_writes"
-- Return what the row's field holds: the payload, or '' for one over 64 bytes, which is stored under a key of its own.
-- A longer value would end the row's compact encoding.
local function store_payload(key, payload)
  if #payload <= 64 then
    return payload
  end
  store(key, payload)
  return ''
end
