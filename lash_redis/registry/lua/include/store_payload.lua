--- @include "partition"
--- @include "planned_writes"
-- Return what the row's field holds: the payload, or '' for one over 64 bytes, which is stored under a key of its own:
-- that of its kind and the row's id. A longer value would end the row's compact encoding.
local function store_payload(kind, id, payload)
  if #payload <= 64 then
    return payload
  end
  store(K .. kind .. id, payload)
  return ''
end
