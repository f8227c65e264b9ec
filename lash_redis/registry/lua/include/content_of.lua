--- @include "row"
--- @include "stored_lane"
--- @include "input_of"
-- What makes two registrations the same (rule 5.6): of a row, or of what is given, its digest, disposition, lane,
-- grantee and input. Of a short input in which no order can differ it is these, so that its row needs no digest; of
-- any other the caller makes one (see content.py). A lane that is given is no field of a row, but the lane in full.
local function content_of(id, given)
  local f = given or fields_of(redis.pcall('HMGET', row_key(id), 'cd', 'd', 'ln', 'gr', 'in'))
  if f[1] and f[1] ~= '' then
    return f[1]
  end
  local lane = given and f[3] or stored_lane(f[3] or '')
  local task = string.match(lane, '^[^|]*|([^|]*)') or ''
  return table.concat({ disposition_in(f[2]) or '', task, f[4] or '', input_of(id, f[5] or '') }, '|')
end
