-- A number, or nothing.
local function is_count(text)
  return not text or string.find(text, '^%d+$')
end
