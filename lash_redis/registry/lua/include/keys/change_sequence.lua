--- @include "row"
--- @include "keys/planned_keys"
--- @include "lane_names"
--- @include "lane_of"
-- A row of a sequence goes from a place to another one. It stands in the sequence from when it first enters a lane, or
-- becomes uncertain before that, until its terminal fact. One that halts keeps what is uncertain, and what was
-- abandoned until it is resolved. One that goes on lets both go for good: its starter, if it comes back, runs beside
-- the rows behind it (rule 9.13).
-- Return the sequence's name, nil if the scope is none.
local function change_sequence(row, from, to, scope, key)
  local name, halts = sequence_named(scope)
  if not name or from == to then
    return name
  end
  local sequence = sequence_in(name, key)
  local is_lost = to == UNCERTAIN or to == ABANDONED
  local stands = to and row.sequence and (halts or not is_lost)
  if not (from or stands) then
    return name
  end
  sequence.lanes[row.id] = to == QUEUED and lane_of(row) or nil
  if stands and (to == QUEUED or to == UNCERTAIN) then
    sequence.added[row.id], sequence.gone[row.id] = number_in(row.sequence), nil
  elseif not stands then
    sequence.gone[row.id], sequence.added[row.id] = true, nil
  end
  sequence.has_changed = true
  return name
end
