-- wake: pass a wake-up on to the next idle worker; a worker that cannot serve the lane sends it.
-- needs:  nothing                 twice: another worker is woken, which finds nothing
-- flags   allow-oom
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  lane
-- reply   DONE
-- bound   16 workers
--- @include "planned_writes"
wake(ARGV[1])
commit()
return { 'DONE' }
