-- The keys of the partition begin with K. The one key that a script names is the partition's header. It exists, so that
-- a server of a cluster that gives the slot away answers as it should.
local K = string.sub(KEYS[1], 1, -4)

-- The last argument of every script is the uuid of the namespace that the caller opened ('' while it is being opened).
-- In another namespace, or where the header is gone, no row and no index says anything of what the caller knew, so that
-- nothing is looked at (rule 8.2). What every script must know beside it stands in the header too, and is read with it.
local header = redis.call('HMGET', K .. 'hdr', 'uuid', 'due', 'watcher', 'paused', 'bounded', 'clock',
  'sequence')
do
  local uuid = table.remove(ARGV)
  if uuid ~= '' and header[1] ~= uuid then
    return { 'MISMATCH' }
  end
end
