--- @include "partition"
--- @include "planned_writes"
-- Forget what a completed process returned; that it completed stays. The row then has no outcome (rule 5.9).
local function forget_result(id)
  index_remove(K .. 'results', id)
  drop(K .. 'o:' .. id)
  clear_fields(id, 'oc')
end
