--- @include "partition"
--- @include "row"
-- A schedule as the transitions see it, or nil. One that is paused is never due. Lua knows no calendar: while it is
-- due, its `note` tells a caller all that is needed to compute which ticks are due and when the next one is.
local function read_schedule(name)
  local f = fields_of(redis.pcall('HMGET', K .. 'schedule:' .. name,
    'rv', 'fr', 'zo', 'la', 'mi', 'sp', 'du', 'pa', 'ln', 'dg'))
  for field = 1, 6 do
    if not f[field] then
      return nil
    end
  end
  local schedule = {
    revision = f[1], from = f[2], due = not f[8] and tonumber(f[7] or '') or nil, pause = f[8], lane = f[9],
    digest = f[10],
  }
  if schedule.due and schedule.due <= now then
    schedule.note = table.concat({ 'tick', now_text, name, unpack(f, 1, 6) }, ' ')
  end
  return schedule
end
