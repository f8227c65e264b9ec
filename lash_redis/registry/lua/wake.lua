-- wake: pass a wake-up on to the next idle worker, by one that cannot serve the lane.
-- needs:  nothing                 twice: another worker is woken, which finds nothing
-- flags   allow-oom
-- line    calls
-- KEYS 1  partition prefix
-- ARGV 1  lane
-- reply   DONE
-- bound   16 workers
--- @include "wake_one"
local lane = ARGV[1]

wake(lane)
return { 'DONE' }
