--- @include "partition"
--- @include "wake_one"
-- Tell the watcher when something becomes due, and an idle worker of the queue, which comes a little later: one of them
-- may die. Without a watcher two idle workers are told, and the first that asks becomes it.
local function tell_of_due(due, queue)
  local watcher = header[3]
  local heard = watcher and redis.call('PUBLISH', K .. 'to:' .. watcher, 'due ' .. due) > 0 and 1 or 0
  while queue and heard < 2 do
    local worker = wake_one(queue, 'due ' .. due)
    queue = worker and queue
    heard = heard + (worker == watcher and 0 or 1)
  end
end
