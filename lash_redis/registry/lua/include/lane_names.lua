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

-- What a name says stays the same, and is asked again and again of each row, so that it is found once.
local scopes_by_lane, lanes_by_field, keys_by_field, sequences_by_scope = {}, {}, {}, {}

-- The two scopes of a keyed lane; nil for a plain one.
local function scopes_of(lane)
  local scopes = scopes_by_lane[lane]
  if not scopes then
    scopes = { string.match(lane, '^[^|]*|[^|]*|[^|]*|([^|,]*),([^|,]*)') }
    scopes_by_lane[lane] = scopes
  end
  return scopes[1], scopes[2]
end

-- The sequence that a scope by key stands for: its name, and whether it halts at a loss; nil if it is no sequence.
local function sequence_named(scope)
  local sequence = sequences_by_scope[scope or '']
  if not sequence then
    local mark, name = string.match(scope or '', '^([!~])(.+)$')
    sequence = { name = name, halts = mark == '!' }
    sequences_by_scope[scope or ''] = sequence
  end
  return sequence.name, sequence.halts
end

-- What a row's field says: its lane without the twin's suffix, and its key, nil for a plain row.
local function split_key(field)
  local lane = lanes_by_field[field or '']
  if lane or not field then
    return lane, keys_by_field[field]
  end
  local key
  lane, key = string.match(field, '^([^|]*|[^|]*|[^|]*|[^|,]*,[^|,]*)|(.*)$')
  lane = lane or field
  lanes_by_field[field], keys_by_field[field] = lane, key
  return lane, key
end
