--- @include "partition"
--- @include "planned_writes"
--- @include "fits_in_row"
-- Return what the row's field holds: the payload, or '' for a long one, which is stored under a key of its own: that of
-- its kind and the row's id.
local function store_payload(kind, id, payload)
  if fits_in_row(payload) then
    return payload
  end
  store(K .. kind .. id, payload)
  return ''
end
