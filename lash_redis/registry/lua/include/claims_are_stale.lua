--- @include "partition"
-- Whether a batch claim with this number is a late copy, or its owner is recorded dead, which leaves it a number above
-- all others (rule 8.5). Return also the last number of the owner.
local function claims_are_stale(me, number)
  local last = tonumber(redis.call('HGET', K .. 'claims', me) or '0')
  return tonumber(number) < last, last
end
