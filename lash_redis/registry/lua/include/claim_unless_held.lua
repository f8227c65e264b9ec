--- @include "row"
--- @include "planned_writes"
--- @include "is_readable"
--- @include "is_paused"
--- @include "grant"
--- @include "extend_lease"
--- @include "holder_reply"
--- @include "waits_reply"
--- @include "waits_for_key"
--- @include "has_expired"
-- What claim and reclaim share: refuse, grant a free or lapsed row, or extend the claimant's own live lease. Return the
-- reply, or nil if another owner holds a live lease.
local function claim_unless_held(row, claimant)
  if not row then
    return { 'UNKNOWN' }
  elseif row.state then
    return { 'TERMINAL', row.state }
  elseif not is_readable(row) then
    return { 'UNREADABLE' }
  elseif row.disposition == EXTERNALLY_OWNED then
    return { 'AUTHORITY' }
  elseif row.place == DELAYED or row.place == BLOCKED or (has_expired(row) and not is_live(row)) then
    return waits_reply(row)
  elseif row.place == QUEUED and is_paused(row.lane) then
    return { 'WAITS', row.place, 'paused' }
  elseif not is_live(row) then
    local waits_for = waits_for_key(row)
    return waits_for and waits_reply(row, waits_for) or grant(row, claimant)
  elseif row.holder == claimant.digest then
    extend_lease(row, claimant.ttl)
    commit()
    return holder_reply('ACQUIRED', row)
  end
end
