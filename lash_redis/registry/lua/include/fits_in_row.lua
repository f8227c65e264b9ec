-- Whether a payload stands in its row: a longer value would end the row's compact encoding.
local MOST_IN_ROW = 64
local function fits_in_row(payload)
  return #payload <= MOST_IN_ROW
end
