-- Functions that return jobs as lines.

-- Replaces line breaks, which somebody may have written, because they would shift the following lines.
local function flat(text)
  return text and (text:find('\n', 1, true) and text:gsub('\n', ' ') or text) or ''
end

-- Adds the five lines of a job to `rows`.
local function add_row(rows, id, job, state, holder, others)
  local length = #rows
  rows[length + 1], rows[length + 2], rows[length + 3] = id, flat(job), flat(state)
  rows[length + 4], rows[length + 5] = flat(holder), flat(others)
end

-- Returns five lines for each job that exists: id, the job, its state or nothing, who holds it or nothing, its other
-- fields or nothing. A job without its text is shown as well, so that it can be failed.
local function show(ids, jobs, states, held, extra)
  local rows = {}
  local state, holder, others = pick(states, ids), pick(held, ids), pick(extra, ids)
  for number, job in ipairs(pick(jobs, ids)) do
    if job or state[number] or holder[number] then
      add_row(rows, ids[number], job, state[number], holder[number], others[number])
    end
  end
  return table.concat(rows, '\n')
end
