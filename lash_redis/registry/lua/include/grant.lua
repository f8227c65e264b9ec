--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "starter_reply"
--- @include "count_loss"
--- @include "holder_reply"
--- @include "take_lease"
--- @include "remember_owner"
-- Grant a row's lease to a claimant, and return the reply. The caller has checked that the lease is free, lapsed or a
-- dead holder's. Started owner-bound work goes to its starter alone, which continues under the token of the first start
-- (rule 3.5). A claim whose loss would reach the limit is answered as busy and commits nothing, and the sweep settles
-- the row (rule 3.6).
local function grant(row, claimant)
  local me, token = claimant.digest, claimant.token
  if row.disposition == OWNER_BOUND and row.starter and row.start_token ~= '' then
    if row.starter ~= me then
      return starter_reply(row)
    end
    token = row.start_token
  elseif row.holder ~= me and count_loss(row)
    and number_in(row.losses) >= number_in(row.loss_limit or claimant.loss_limit) then
    return holder_reply('BUSY', row)
  end
  take_lease(row, me, token, int(now + claimant.ttl))
  if not has_begun(row) then
    index_add(K .. UNBEGUN_INDEX, '0', row.id)
  end
  remember_owner(me, claimant.owner)
  commit()
  return holder_reply('ACQUIRED', row)
end
