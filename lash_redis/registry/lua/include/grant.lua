--- @include "header"
--- @include "places"
--- @include "replies"
-- Give a free or lapsed row to an owner, with a higher fence; what claim and reclaim share (design, section 4).
local function refused(uuid, row)
  if not namespace_is(uuid) then
    return { 'MISMATCH' }
  elseif not row then
    return { 'UNKNOWN' }
  elseif row.state then
    return { 'TERMINAL', row.state }
  elseif row.disposition == EXTERNALLY_OWNED then
    return { 'AUTHORITY' }
  end
end

local function extend(row, ttl)
  local expires = int(math.max(tonumber(row.expires), now + ttl))
  row.expires = expires
  index_add(K .. 'leases', expires, row.id)
  store(lease_key(row.id), row.token, expires)
  write_row(row.id, 'ex', expires)
end

local function take(row, me, token, ttl)
  if row.place ~= LEASED then
    leave_place(row)
  elseif row.holder ~= me then
    disown_holder(row)
  end
  row.holder, row.token, row.fence = me, token, next_fence(row)
  row.claimed, row.expires = int(now), int(now + ttl)
  index_add(K .. 'leases', row.expires, row.id)
  list_as_owned(me, row)
  if not has_begun(row) then
    index_add(K .. 'held', '0', row.id)
  end
  store(lease_key(row.id), token, row.expires)
  write_row(row.id, 'ph', LEASED, 'ho', me, 'tk', token, 'fe', row.fence, 'ex', row.expires, 'ca', row.claimed)
end

local function grant(row, me, owner, token, ttl)
  if row.disposition == OWNER_BOUND and row.starter and row.start_token ~= '' then
    if row.starter ~= me then
      return starter_reply(row)
    end
    token = row.start_token
  elseif row.disposition == RERUNNABLE and has_begun(row) and row.holder ~= me and row.lost_token ~= row.token then
    local losses = tonumber(row.losses or 0) + 1
    if losses >= tonumber(row.loss_limit or 5) then
      return holder_reply('BUSY', row)
    end
    write_row(row.id, 'lo', int(losses), 'lt', row.token)
  end
  take(row, me, token, ttl)
  remember_owner(me, owner)
  commit()
  return holder_reply('ACQUIRED', row)
end
