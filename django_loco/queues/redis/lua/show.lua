-- Line breaks in what somebody else has written must not shift all that follows.
local function flat(text)
  return text and (text:find('\n', 1, true) and text:gsub('\n', ' ') or text) or ''
end

-- Returns five lines for each job that exists: id, the job, its state or nothing, who holds it or nothing, its other
-- fields or nothing. A job without a text is shown as well, as it has to be let go of.
local function show(ids, jobs, states, held, extra)
  local rows, length = {}, 0
  local state, holder, others = pick(states, ids), pick(held, ids), pick(extra, ids)
  for number, job in ipairs(pick(jobs, ids)) do
    if job or state[number] or holder[number] then
      rows[length + 1], rows[length + 2] = ids[number], flat(job)
      rows[length + 3], rows[length + 4] = flat(state[number]), flat(holder[number])
      rows[length + 5] = flat(others[number])
      length = length + 5
    end
  end
  return table.concat(rows, '\n')
end
