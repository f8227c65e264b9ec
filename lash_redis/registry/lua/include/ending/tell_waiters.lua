--- @include "row"
--- @include "planned_writes"
-- Tell those that wait, once the fact is written. A short outcome of some states stands in the message for those that
-- read it there (see registry/messages.py).
local TOLD, MOST_TOLD = { [COMPLETED] = true, [FAILED] = true }, 1024

local function tell_waiters(id, waiters, state, kind, outcome)
  local is_told = TOLD[state] and #outcome <= MOST_TOLD
  for waiter in string.gmatch(waiters, '%S+') do
    if is_told and string.sub(waiter, 1, 1) == '+' then
      publish(waiter, 'outcome ' .. id .. ' ' .. kind .. ' ' .. outcome)
    else
      publish(waiter, 'ended ' .. id)
    end
  end
end
