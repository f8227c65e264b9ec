--- @include "partition"
--- @include "row"
--- @include "moving/move_to"
--- @include "no_longer_new"
-- Move started owner-bound work to *uncertain*: nobody holds it, and nothing proves what became of it (rule 1.5).
local function make_uncertain(row)
  no_longer_new(row)
  move_to(row, UNCERTAIN, now_text)
end
