-- lanes: read one page of the lanes that are not empty, in the order of their names.
-- needs:  nothing                 twice: a read
-- flags   no-writes
-- connections calls
-- KEYS 1  partition header
-- ARGV 1  lane after which the page begins ('' at first)   ARGV 2 limit
-- reply   LANES lane x found
-- bound   lanes <= 500
--- @include "partition"
--- @include "page_of_names"
local after, limit = ARGV[1], ARGV[2]

return { 'LANES', unpack(page_of_names(K .. 'lanes', after, limit)) }
