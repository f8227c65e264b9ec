-- first_of_sequence: read which row is the first of the sequence in which a row stands.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  id
-- reply   FIRST id, or '' if the row stands in no sequence
-- bound   1 row
--- @include "partition"
--- @include "row"
--- @include "lane_names"
local id = ARGV[1]

local row = read_row(id)
local lane, key = split_key(row and row.lane)
local name = sequence_named(key and scopes_of(lane))
return { 'FIRST', name and redis.call('ZRANGE', K .. 'seq:' .. name .. ' ' .. key, '0', '0')[1] or '' }
