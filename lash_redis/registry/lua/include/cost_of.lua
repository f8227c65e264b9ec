-- What a row costs, by what it is called among those of its key (see member_of).
local function cost_of(member)
  return string.find(member, ' ', 1, true) and tonumber(string.match(member, ' (%d+)$')) or 1
end
