--- @include "partition"
--- @include "waiting/row_in_call"
--- @include "planned_writes"
--- @include "waiting/tell_dependents"
-- A new row waits for others: those that it names, or its group, which is held open. What has ended already tells it so
-- after the commit. Return the first that it cannot wait for, and why: one that is neither registered nor new in this
-- call (`new_rows`), or of a member of a group one that is no member, so that no two processes wait for each other.
local function await_others(row, asked, new_rows, end_row)
  row.awaits = asked.by .. (asked.group and 'g' or '')
  local key, score = K .. 'awaits:' .. row.id, asked.by == 'c' and '1' or '0'
  if asked.group then
    index_add(key, '0', '*')
  end
  for id in string.gmatch(asked.after or '', '%S+') do
    local other = row_in_call(id, new_rows[id])
    if not other or (row.group and other.group ~= row.group) then
      return { id, other and 'stranger' or '' }
    end
    index_add(key, '0', id)
    index_add(K .. 'then:' .. id, score, row.id)
    if not other.dependents then
      other.dependents = '1'
      write_row(id, 'dp', '1')
    end
    if other.state and not other.tells then
      other.tells = true
      tell_dependents(other, other.state, end_row)
    end
  end
end
