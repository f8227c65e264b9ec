--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "lease_fields"
-- The leases that a batch claim takes on queued rows which nobody ever held, each with its start. They are planned
-- together: of such a row nothing goes but its entry in its lane. Any other one has to leave more (see take_lease and
-- mark_started, which write the same for a row like these: tests/conformance/test_first_leases.py).
local first_leases, number_of_first = {}, 0

-- `key` is that of the row, and `score` the one that list_as_owned says.
local function take_first_lease(key, id, token, score)
  local n = number_of_first
  first_leases[n + 1], first_leases[n + 2], first_leases[n + 3], first_leases[n + 4] = key, id, token, score
  number_of_first = n + 4
end

-- All that were taken are for this owner, until then. The last one enters an index first: in a short one its place is
-- sought from the beginning, where it is found at once.
local function plan_first_leases(me, expires)
  if number_of_first == 0 then
    return
  end
  local by_expiry, by_owner = list_for(added, K .. INDEX[LEASED]), list_for(added, owned_set(me))
  local n, m = #by_expiry, #by_owner
  for at = number_of_first - 3, 1, -4 do
    local id = first_leases[at + 1]
    by_expiry[n + 1], by_expiry[n + 2], n = expires, id, n + 2
    by_owner[m + 1], by_owner[m + 2], m = first_leases[at + 3], id, m + 2
  end
  function hooks.write()
    local leases = first_leases
    for at = 1, number_of_first, 4 do
      local token = leases[at + 2]
      redis.call('SET', lease_key(leases[at + 1]), token, 'PXAT', expires)
      redis.call('HSET', leases[at], lease_fields(me, token, now_text, expires, 'fa', now_text))
    end
    first_leases, number_of_first = {}, 0
  end
end
