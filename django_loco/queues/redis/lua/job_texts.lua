-- What `enqueue` and `restore` store of each job, wherever it is in the queue.

-- Adds a job to `stored`. Each text but the job may be empty.
local function add_texts(stored, id, job, state, key, others)
  add(stored.jobs, id, job)
  add(stored.index, 0, id)
  if key ~= '' and series_of(key) then
    add(stored.series, 0, series_of(key) .. '\t' .. id)
  end
  if state ~= '' then
    add(stored.states, id, state)
  end
  if others ~= '' then
    add(stored.extra, id, others)
  end
end

local function send_texts(stored, keys)
  send('HSET', keys.jobs, stored.jobs)
  send('HSET', keys.states, stored.states)
  send('HSET', keys.extra, stored.extra)
  send('ZADD', keys.index, stored.index)
  send('ZADD', keys.series, stored.series)
end
