-- Opens, seals, cancels, settles, lists and prunes batches, and records that callbacks are enqueued; see `members`.
--
-- Keys: see the first line.
-- Arguments: the name of one of the functions in `verbs`, and the arguments that its comment names.
local keys = {
  jobs = KEYS[1], states = KEYS[2], held = KEYS[3], batches = KEYS[4], batch_states = KEYS[5], open = KEYS[6],
  members = KEYS[7], once = KEYS[8], edges = KEYS[9],
}
local now = text(micros())

local function write(id, state)
  redis.call('HSET', keys.batch_states, id, table.concat(state, '\t'))
end

local function read(id)
  local state = redis.call('HGET', keys.batch_states, id)
  return state and fields(state)
end

local function counts_of(id)
  local counts = {}
  for place, standing in ipairs(STANDINGS) do
    counts[place] = number_of(keys.members, id, standing)
  end
  return counts
end

-- Returns a line of texts with tabs between: the id, the state, the counts now, and what Python reads.
local function shown(id, state, is_counted)
  local counts = state[COUNTS]
  if counts == '' and is_counted then
    counts = table.concat(counts_of(id), ' ')
  end
  local first = { unpack(state, 1, CALLED) }
  return id .. '\t' .. table.concat(first, '\t') .. '\t' .. counts .. '\t' .. (redis.call('HGET', keys.batches, id) or '')
end

-- Returns the standing of a member; `state` is its text in `states`, which may have a TAB and a checkpoint at its end.
-- The last error of a cancelled job is of a class in `cancelled`.
local function standing_of(job, state, holder, cancelled)
  if holder then
    return 'L'
  elseif not state then
    return job and 'L' or 'C'
  elseif state:find('["SUCCESSFUL"', 1, true) == 1 then
    return 'S'
  elseif state:find('["FAILED"', 1, true) ~= 1 then
    return 'L'
  end
  return cancelled[state:match('^[^\t]*'):match('.*%["([^"]*)","')] and 'C' or 'F'
end

-- Updates the standings of these members of a batch. Jobs that are no members are left alone.
local function look_at(batch, ids, cancelled)
  local jobs, states, held = pick(keys.jobs, ids), pick(keys.states, ids), pick(keys.held, ids)
  local gone, new = {}, {}
  for number, id in ipairs(ids) do
    local start = batch .. '\t'
    local now_is, was = standing_of(jobs[number], states[number], held[number], cancelled), nil
    for _, standing in ipairs(STANDINGS) do
      was = was or redis.call('ZSCORE', keys.members, start .. standing .. '\t' .. id) and standing
    end
    -- If a job has ended, and is no longer there, its standing is known already.
    if was and was ~= now_is and (jobs[number] or was == 'L') then
      gone[#gone + 1] = start .. was .. '\t' .. id
      add(new, 0, start .. now_is .. '\t' .. id)
    end
  end
  send('ZREM', keys.members, gone)
  send('ZADD', keys.members, new)
end

-- Returns a list that begins at another place each time, so that all get their turn.
local function in_turns(list)
  local turned, start = {}, #list > 0 and now % #list or 0
  for place = 1, #list do
    turned[place] = list[(start + place - 1) % #list + 1]
  end
  return turned
end

-- Deletes the first entries of a batch in a sorted set; returns whether these were all.
local function cleared(key, id)
  local entries = redis.call('ZRANGEBYLEX', key, '[' .. id .. '\t', '(' .. id .. '\n', 'LIMIT', 0, 10000)
  send('ZREM', key, entries)
  return #entries < 10000
end

local verbs = {}

-- id, what Python reads
function verbs.open(id, given)
  if not redis.call('HGET', keys.batch_states, id) then
    redis.call('HSET', keys.batches, id, given)
    write(id, { '1', now, '', '', '', '', '' })
    redis.call('ZADD', keys.open, 0, id)
  end
end

-- id, what Python reads, the state. An existing batch is only sealed, if it is not sealed yet and the state is.
function verbs.restore(id, given, state)
  local was, new = read(id), fields(state)
  if not was then
    redis.call('HSET', keys.batches, id, given)
    write(id, new)
    if new[CALLED] == '' then
      redis.call('ZADD', keys.open, 0, id)
    end
  elseif was[SEALED] == '' and new[SEALED] ~= '' then
    was[SEALED] = new[SEALED]
    write(id, was)
  end
end

function verbs.get(id)
  local state = read(id)
  return state and shown(id, state, true) or ''
end

-- id, 1 to cancel it as well. Returns 1 if it is there and has not finished.
function verbs.seal(id, cancels)
  local state = read(id)
  if not state or state[FINISHED] ~= '' then
    return 0
  end
  state[SEALED] = state[SEALED] ~= '' and state[SEALED] or now
  if cancels == '1' and state[CANCELLED] == '' then
    state[CANCELLED] = now
  end
  write(id, state)
  return 1
end

-- The classes of the errors of cancelled jobs; ids of batches; two lines per member that may have ended: id and batch.
-- Without ids all batches are looked at, and some of their members: nobody may have noticed that they have ended.
-- Returns the batches that have finished and whose callbacks are not enqueued.
function verbs.settle(classes, batches, members)
  local cancelled = {}
  for _, class in ipairs(lines(classes)) do
    cancelled[class] = true
  end
  local of_batch, rows, found = {}, lines(members), {}
  for row = 1, #rows, 2 do
    local id, batch = rows[row], rows[row + 1]
    of_batch[batch] = of_batch[batch] or {}
    table.insert(of_batch[batch], id)
  end
  for batch, ids in pairs(of_batch) do
    look_at(batch, ids, cancelled)
  end
  local left = 5000  -- how many members to look at
  for _, id in ipairs(batches == '*' and in_turns(redis.call('ZRANGE', keys.open, 0, -1)) or lines(batches)) do
    local state = read(id)
    if state and state[SEALED] ~= '' and state[CALLED] == '' then
      if state[FINISHED] == '' and batches == '*' and left > 0 then
        local ids = {}
        for place, entry in ipairs(entries_of(keys.members, id, 'L', '', math.min(left, 1000))) do
          ids[place] = entry:match('([^\t]*)$')
        end
        look_at(id, ids, cancelled)
        left = left - #ids
      end
      if state[FINISHED] == '' and number_of(keys.members, id, 'L') == 0 then
        state[FINISHED], state[COUNTS] = now, table.concat(counts_of(id), ' ')
        write(id, state)
      end
      if state[FINISHED] ~= '' then
        found[#found + 1] = shown(id, state, true)
      end
    end
  end
  return table.concat(found, '\n')
end

-- id, round. Returns 1 if it has recorded that the callbacks of this round are enqueued.
function verbs.called(id, round)
  local state = read(id)
  if not state or state[ROUND] ~= round or state[CALLED] ~= '' then
    return 0
  end
  state[CALLED] = now
  write(id, state)
  redis.call('ZREM', keys.open, id)
  return 1
end

-- id, the standings as a text of letters, the id after which to begin, how many
function verbs.members(id, standings, after, number)
  local ids = {}
  for standing in standings:gmatch('.') do
    for _, entry in ipairs(entries_of(keys.members, id, standing, after, number)) do
      ids[#ids + 1] = entry:match('([^\t]*)$')
    end
  end
  table.sort(ids)
  return table.concat(ids, '\n', 1, math.min(#ids, tonumber(number)))
end

-- ids of batches
function verbs.list(ids)
  local found = {}
  for _, id in ipairs(lines(ids)) do
    local state = read(id)
    if state then
      found[#found + 1] = shown(id, state, false)
    end
  end
  return table.concat(found, '\n')
end

-- For how many microseconds to keep batches. A batch with a callback that has not ended stays. The entries of a large
-- batch, and the edges that a process which died has left, are deleted in several calls.
function verbs.prune(age)
  local states = redis.call('HGETALL', keys.batch_states)
  for place = 1, #states, 2 do
    local id, state = states[place], fields(states[place + 1])
    local is_old = state[CALLED] ~= '' and tonumber(state[CALLED]) < now - age
    if is_old and not is_followed(keys.once, id, state[ROUND]) then
      if cleared(keys.edges, id) and cleared(keys.members, id) then
        redis.call('HDEL', keys.batches, id)
        redis.call('HDEL', keys.batch_states, id)
      end
    end
  end
end

return verbs[ARGV[1]](unpack(ARGV, 2)) or ''
