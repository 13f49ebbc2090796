-- Returns four lines per job that there is: id, the job, its state or nothing, by whom it is held or nothing.
local function show(ids, jobs, states, held)
  local rows, length = {}, 0
  local state, holder = pick(states, ids), pick(held, ids)
  for number, job in ipairs(pick(jobs, ids)) do
    if job then
      rows[length + 1], rows[length + 2] = ids[number], job
      rows[length + 3], rows[length + 4] = state[number] or '', holder[number] or ''
      length = length + 4
    end
  end
  return table.concat(rows, '\n')
end
