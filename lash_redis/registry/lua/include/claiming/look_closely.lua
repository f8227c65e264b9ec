--- @include "lane_names"
--- @include "partition"
--- @include "row"
--- @include "stored_lane"
--- @include "planned_writes"
--- @include "is_readable"
--- @include "lane_of"
--- @include "change_key"
--- @include "cost_of"
--- @include "score_of"
--- @include "has_expired"
--- @include "expire"
-- Of a newer release, or damaged: the row is left as it is (rule 8.15). Its entry is set back, behind all that can be
-- read, and in the order in which it was looked at. A release that can read it hands it out.
local function set_back(id, lane, entry, member)
  notes[#notes + 1] = id
  -- A sequence waits for it: no other row of its key may go before it.
  if not sequence_named(scopes_of(lane)) then
    index_add(lane_set(lane), int(SET_BACK + now), id)
    if entry then
      entry.gone[member], entry.added[member] = true, SET_BACK + now
    end
  end
end

-- What a claim looks at before it hands out a row of a lane; `entry` and `member` are those of a keyed one. Return
-- the row. If there is none to hand out, it is planned what becomes of the entry, and perhaps of the row.
local function look_closely(id, found, lane, entry, member)
  local f = {}
  for at = 1, #found, 2 do
    f[found[at]] = found[at + 1]
  end
  local cost = entry and cost_of(member) or 1
  local row = {
    id = id, place = f.ph, lane = f.ln and stored_lane(f.ln), sequence = f.sq, disposition = disposition_in(f.d),
    fence = f.fe, starter = f.fs, losses = f.lo, priority = f.pr, new = f.nw, cost = cost > 1 and int(cost) or nil,
    expiry = f.xp, retries = f.tr, input = f['in'],
  }
  -- One that is not there is a stale entry.
  local is_there = row.place or redis.call('EXISTS', row_key(id)) == 1
  if is_there and not is_readable(row) then
    return set_back(id, lane, entry, member)
  end
  if row.place ~= QUEUED or (row.losses or row.lane ~= lane) and lane_of(row) ~= lane then
    index_remove(lane_set(lane), id)
    if entry then
      entry.gone[member] = true
    end
    if row.place == QUEUED then
      index_add(lane_set(lane_of(row)), score_of(row), id)
      change_key(row, nil, QUEUED, score_of(row))
    end
    return nil
  end
  if row.disposition ~= RERUNNABLE and (row.disposition ~= OWNER_BOUND or row.starter) then
    return set_back(id, lane, entry, member)
  end
  if has_expired(row) then
    expire(read_row(id))
    return nil
  end
  row.is_plain = not (entry or row.fence or row.starter or row.losses or row.new or row.expiry)
  return row
end
