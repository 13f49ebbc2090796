-- Line breaks in what somebody else has written must not shift all that follows.
local function flat(text)
  return text and (text:find('\n', 1, true) and text:gsub('\n', ' ') or text) or ''
end

-- Returns four lines per job that there is: id, the job, its state or nothing, by whom it is held or nothing. A job
-- whose text is gone is shown as well, for it has to be let go of.
local function show(ids, jobs, states, held)
  local rows, length = {}, 0
  local state, holder = pick(states, ids), pick(held, ids)
  for number, job in ipairs(pick(jobs, ids)) do
    if job or state[number] or holder[number] then
      rows[length + 1], rows[length + 2] = ids[number], flat(job)
      rows[length + 3], rows[length + 4] = flat(state[number]), flat(holder[number])
      length = length + 4
    end
  end
  return table.concat(rows, '\n')
end
