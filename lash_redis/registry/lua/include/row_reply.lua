--- @include "partition"
--- @include "row"
--- @include "stored_lane"
--- @include "owner_named"
-- A whole row: its fields, the long payloads that are stored beside it (none for a reader who wants it bare), its
-- starter and its holder, whether its lease is live, and the server's time. It may be read after the writes. What the
-- row leaves out is there too: the name of its lane, and of a start that its lease tells of all its fields.
local function row_reply(id, is_bare)
  local fields = fields_of(redis.pcall('HGETALL', row_key(id)))
  local by_name, is_chosen = {}, false
  for i = 1, #fields, 2 do
    by_name[fields[i]] = fields[i + 1]
    if fields[i] == 'd' then
      fields[i + 1], is_chosen = disposition_in(fields[i + 1])
    elseif fields[i] == 'ln' then
      fields[i + 1] = stored_lane(fields[i + 1])
    elseif fields[i] == 'lf' and fields[i + 1] == '' and not is_bare then
      fields[i + 1] = text_at(K .. 'f:' .. id) or ''
    end
  end
  if is_chosen then
    fields[#fields + 1], fields[#fields + 2] = 'ch', '1'
  end
  if by_name.fa and not by_name.fs then
    by_name.fs, by_name.ca = by_name.ho, by_name.ca or by_name.fa
    for _, text in ipairs({ 'fs', by_name.ho or '', 'ft', by_name.tk or '', 'ca', by_name.ca }) do
      fields[#fields + 1] = text
    end
  end
  local input = not is_bare and by_name['in'] == '' and text_at(K .. 'i:' .. id) or ''
  local outcome = not is_bare and by_name.oc == '' and text_at(K .. 'o:' .. id) or ''
  local live = by_name.ph == LEASED and is_live({ id = id, token = by_name.tk, expires = by_name.ex })
  return { id, fields, input, outcome, owner_named(by_name.fs), owner_named(by_name.ho), live and '1' or '0', now_text }
end
