--- @include "partition"
-- What the processes of a schedule are registered with: disposition, lane, input, content digest, and the fields and
-- asks by turns (see register). The schedule keeps each of those under an 'x' and its name.
local function tick_data(name)
  local stands = redis.call('HGETALL', K .. 'schedule:' .. name)
  local data, further = {}, {}
  for at = 1, #stands, 2 do
    local field = stands[at]
    if string.sub(field, 1, 1) == 'x' then
      further[#further + 1], further[#further + 2] = string.sub(field, 2), stands[at + 1]
    else
      data[field] = stands[at + 1]
    end
  end
  return data.d, data.ln, data['in'], data.cd, further
end
