--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "leave_place"
--- @include "no_longer_new"
--- @include "change_key"
--- @include "disown_holder"
--- @include "keep_start"
--- @include "next_fence"
--- @include "list_as_owned"
--- @include "lease_fields"
-- Give a row's lease to an owner, with a higher fence. `score` is the row's in a batch claim (see list_as_owned). If
-- that starts it in the same step, its start says when it was claimed.
local function take_lease(row, me, token, expires, score, starts)
  if row.place ~= LEASED then
    leave_place(row)
  elseif row.holder ~= me then
    disown_holder(row)
  end
  no_longer_new(row)
  change_key(row, row.place, LEASED)
  if row.token ~= token or row.holder ~= me then
    keep_start(row)
  end
  row.holder, row.token, row.fence = me, token, next_fence(row)
  row.claimed, row.expires = now_text, expires
  index_add(K .. INDEX[LEASED], row.expires, row.id)
  list_as_owned(me, row, score)
  store(lease_key(row.id), token, row.expires)
  write_row(row.id, lease_fields(me, token, row.fence, row.expires))
  if not starts or row.starter then
    write_row(row.id, 'ca', row.claimed)
  end
end
