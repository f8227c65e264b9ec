-- The names of lanes. A plain lane is `queue|task|digest`, and a keyed one `queue|task|digest|scopes`: its scopes are
-- the policy by key and the limit that all keys share, with a comma between them, each of which may be empty. A
-- sequence is a scope by key too: `!name` if it halts at a loss, else `~name`. The field of a row of a keyed lane goes
-- on with `|key`, which may hold anything. Both kinds have a twin for rows that run alone. From so many losses on a
-- row has a lane in which a worker takes one row at a time (rule 4.6).
local ALONE_LOSSES = 2
local ALONE = '|alone'

local function alone_twin(lane)
  return lane .. ALONE
end

local function runs_alone(lane)
  return string.sub(lane, -#ALONE) == ALONE
end

-- The two scopes of a keyed lane; nil for a plain one.
local function scopes_of(lane)
  return string.match(lane, '^[^|]*|[^|]*|[^|]*|([^|,]*),([^|,]*)')
end

-- The sequence that a scope by key stands for: its name, and whether it halts at a loss; nil if it is no sequence.
local function sequence_named(scope)
  local mark, name = string.match(scope or '', '^([!~])(.+)$')
  return name, mark == '!'
end

-- What a row's field says: its lane without the twin's suffix, and its key, nil for a plain row.
local function split_key(field)
  local lane, key = string.match(field or '', '^([^|]*|[^|]*|[^|]*|[^|,]*,[^|,]*)|(.*)$')
  return lane or field, key
end

-- Whether a row's field is one that this release writes.
local function is_lane_field(field)
  local _, key = split_key(field)
  return key or string.find(field or '', '^[^|]*|[^|]*|[^|]*$')
end
