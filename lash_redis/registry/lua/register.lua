-- register: write new processes into their lanes (or outside), all of the batch or none.
-- needs:  the namespace's header  twice: the same content answers as known, other content is a conflict
-- flags   none
-- connections calls
-- KEYS 1  partition header
-- ARGV 1.. (id, disposition, lane, input, content digest, number of further fields,
--         (field, value) x further fields) x rows
-- reply   REGISTERED now ('1' new, '0' known) x rows · CONFLICT id..
-- bound   rows <= 500
--- @include "partition"
--- @include "row"
--- @include "planned_writes"
--- @include "place_index"
--- @include "store_payload"
local conflicts, reply = { 'CONFLICT' }, { 'REGISTERED', now_text }
local sequence = tonumber(redis.call('HGET', K .. 'hdr', 'sequence') or '0')
local at = 1
while at < #ARGV do
  local id, disposition, lane, input, content, further = unpack(ARGV, at, at + 5)
  local first, following = at + 6, at + 6 + 2 * tonumber(further)
  at = following
  local known = redis.call('HGET', row_key(id), 'cd')
  if known and known ~= content then
    conflicts[#conflicts + 1] = id
  end
  reply[#reply + 1] = known and '0' or '1'
  if not known then
    sequence = sequence + 1
    local place, score = QUEUED, int(sequence)
    if disposition == EXTERNALLY_OWNED then
      place, score = OUTSIDE, now_text
    else
      wake(lane)
    end
    index_add(place_index({ lane = lane }, place), score, id)
    write_row(id, 'd', disposition, 'ph', place, 'ln', lane, 'sq', int(sequence),
      'in', store_payload(K .. 'i:' .. id, input), 'cd', content, 'at', now_text)
    if following > first then
      write_row(id, unpack(ARGV, first, following - 1))
    end
  end
end
if #conflicts > 1 then
  return conflicts
end
write_hash('hdr', 'sequence', int(sequence))
commit()
return reply
