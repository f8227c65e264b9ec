-- glance: say for what a partition's indexes have anything, for claims and for sweeps.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  index of the leases   ARGV 2 index of the abandon requests
-- reply   GLANCED work holders lapsed asked; each '1' or '0'
--         work: a lane has rows, or something was to become due by now; holders: owners have unsettled rows;
--         lapsed: a lease has ended; asked: a row has an abandon request
-- bound   seven commands; most are not sent where nothing is registered that has not ended
--- @include "header"
local lanes, holders, leases, asked = K .. 'lanes', K .. 'holders', K .. ARGV[1], K .. ARGV[2]

local function has(key)
  return tostring(redis.call('EXISTS', key))
end

-- In a partition at rest nobody asks for the time.
local is_at_rest = redis.call('EXISTS', lanes, holders, leases, asked) == 0
if is_at_rest and not header[2] then
  return { 'GLANCED', '0', '0', '0', '0' }
end
local clock = redis.call('TIME')
local at = clock[1] * 1000 + math.floor(clock[2] / 1000)
local is_due = header[2] and tonumber(header[2]) <= at
if is_at_rest then
  return { 'GLANCED', is_due and '1' or '0', '0', '0', '0' }
end
local lapsed = redis.call('ZRANGEBYSCORE', leases, '-inf', string.format('%.0f', at), 'LIMIT', '0', '1')
return { 'GLANCED', is_due and '1' or has(lanes), has(holders), #lapsed > 0 and '1' or '0', has(asked) }
