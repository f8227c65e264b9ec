-- close_claims: make every batch claim with a lower number stale; its owner waits no more, its list soon dies.
-- needs:  the namespace's header  twice: the same number is answered as closed
-- flags   allow-oom
-- connections claim
-- KEYS 1  partition header
-- ARGV 1  owner digest   ARGV 2 owner   ARGV 3 number
-- ARGV 4  name of its list of lanes ('' if it does not leave, or is not known)
-- ARGV 5  how long ago the last call by that list counts as made, at least, ms   ARGV 6.. queues
-- reply   CLOSED · STALE
-- bound   the queues named, 16 workers of each
--- @include "partition"
--- @include "planned_writes"
--- @include "wake_one"
--- @include "claims_are_stale"
--- @include "remember_owner"
local me, owner, number, list = unpack(ARGV, 1, 4)

if claims_are_stale(me, number) then
  return { 'STALE' }
end
for at = 6, #ARGV do
  index_remove(K .. 'idle:' .. ARGV[at], me)
end
local last_call, latest = list ~= '' and redis.call('ZMSCORE', K .. 'lists', list)[1], now - tonumber(ARGV[5])
if last_call and tonumber(last_call) > latest then
  index_add(K .. 'lists', int(latest), list)
end
-- Whoever leaves, and all others may be leaving too, hands on when something becomes due.
local due, watches = header[2], not header[3] or header[3] == me
if header[3] == me then
  set_header('watcher', nil)
end
write_hash('claims', me, number)
remember_owner(me, owner)
commit()
for at = 6, due and watches and #ARGV or 0 do
  if wake_one(ARGV[at], 'due ' .. due) then
    break
  end
end
return { 'CLOSED' }
