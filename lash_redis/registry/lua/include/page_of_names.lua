-- Read one page of a directory, in the order of the names: those after a name, or the first ones after ''.
local function page_of_names(key, after, limit)
  local from = after == '' and '-' or '(' .. after
  return redis.call('ZRANGEBYLEX', key, from, '+', 'LIMIT', '0', limit)
end
