--- @include "partition"
--- @include "planned_writes"
-- A worker that got all that there is for it is listed as idle. Any other one asks again: a wake-up that it got would
-- be lost. An idle worker renews its entry when it claims, with each slow poll. An older entry is one of a worker that
-- has gone, or of one whose poll_ms is longer: that one gets no wake-ups until it claims again. So the list ends that
-- long after the last claim from its queue. What is older in it goes now and then.
local function list_as_idle(queue, me, is_idle, lives_ms, trims)
  local key = K .. 'idle:' .. queue
  if is_idle then
    index_add(key, now_text, me)
    index_fade(key, trims and int(now - lives_ms), lives_ms)
  else
    index_remove(key, me)
  end
end
