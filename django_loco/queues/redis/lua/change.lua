-- Changes or deletes jobs that no worker holds, each only if it is as it was read.
--
-- The *entry* of a job is its member of `ready`, `deferred`, `finished` or `kept`: the place of a job that waits, or the
-- member of a job that has ended (see `finish`).
--
-- Keys: see the first lines; the channels to announce jobs in follow.
-- Arguments: how many marks to leave in the channels; the changes, eleven lines each: id, its texts as they were (the job,
-- its state, its other fields), its entry, its new entry or nothing to delete it, the time before which it may not run or at
-- which it has ended (or nothing, see `add_ended`), its once-key or nothing, and its new texts, each nothing if it stays; the unique keys
-- that some of them take, as for `enqueue`; the once-keys that some of them take, two lines each: id and key; the members
-- of batches among them that have ended and are to be ready, two lines each: id and batch. A job does not change if another
-- one holds the unique key, or the once-key is known.
-- Returns the ids of the jobs that have changed since they were read, a line each. A tab follows the id of a job that is as
-- it was read, but not at its entry. The answer is remembered, so running the script again changes nothing.
local keys = {
  jobs = KEYS[1], states = KEYS[2], extra = KEYS[3], held = KEYS[4], index = KEYS[5], ready = KEYS[6], tagged = KEYS[7],
  deferred = KEYS[8], finished = KEYS[9], failed = KEYS[10], counts = KEYS[11], series = KEYS[12], once = KEYS[13],
  logs = KEYS[14], unique = KEYS[15], kept = KEYS[18], batch_states = KEYS[19], open = KEYS[20],
  members = KEYS[21], answer = KEYS[22],
}
turns_key, turn_key = KEYS[16], KEYS[17]
local remembered = redis.call('GET', keys.answer)
if remembered then
  return remembered
end

local now, wishes, onces, batches = micros(), pairs_of(ARGV[3]), pairs_of(ARGV[4]), pairs_of(ARGV[5])
local rows, ids = lines(ARGV[2]), {}
for row = 1, #rows, 11 do
  ids[#ids + 1] = rows[row]
end

-- The changes of each key, to be made when all jobs were looked at.
local texts, states, others, due, later, ended, kept, failed, known = {}, {}, {}, {}, {}, {}, {}, {}, {}
local over, gone, untagged, out_of_series, not_failed, moved = {}, {}, {}, {}, {}, {}

local function is_place(entry)
  return entry:find('\r', 1, true) ~= nil
end

-- Returns the field of `counts` of the jobs at such an entry.
local function kind_of(entry)
  return is_place(entry) and queue_of(entry) .. '\tREADY' or entry:match('^[^\t]*\t([^\t]*\t[^\t]*)')
end

local function due_time(place)
  return place:match('\r...' .. ('%d'):rep(16)):sub(5)
end

local function note(list, id, value)
  if value ~= '' then
    add(list, id, value)
  end
end

-- Takes a job from its entry. Returns whether it was there, and whether it was due.
local function leave(entry)
  if not is_place(entry) then
    return redis.call('ZREM', keys.finished, entry) + redis.call('ZREM', keys.kept, entry) > 0, false
  elseif redis.call('ZREM', keys.ready, entry) == 0 then
    return redis.call('ZREM', keys.deferred, entry) == 1, false
  end
  each_tag(entry, function(of_tag) untagged[#untagged + 1] = of_tag end)
  return true, true
end

-- Collects the changes that delete a job. Its once-key is remembered from now on.
local function delete(id, entry, key)
  gone[#gone + 1] = id
  local name = key ~= '' and series_of(key) or not is_place(entry) and entry:match('^[^\t]*\t[^\t]*\t[^\t]*\t(.*)')
  if name then
    out_of_series[#out_of_series + 1] = name .. '\t' .. id
  end
  if key ~= '' then
    add(known, text(now), key)
  end
end

-- Collects the changes that move a job to its new entry. A job that was due stays due, even if the clock was set back, unless
-- it is put off.
local function move(id, entry, was_due, new, time, key)
  if not is_place(new) then
    local at = add_ended(ended, kept, time, new)
    over[#over + 1] = id
    if key ~= '' then
      add(known, at, key)
    end
    return
  end
  if time == '' or tonumber(time) <= now or was_due and due_time(entry) == due_time(new) then
    add(due, 0, new)
  else
    add(later, time, new)
  end
  if key ~= '' and not is_place(entry) then
    redis.call('ZADD', keys.once, '+inf', key)
  end
end

-- Gives a job that waits a once-key.
local function take_once_key(id, key)
  redis.call('ZADD', keys.once, '+inf', key)
  if series_of(key) then
    redis.call('ZADD', keys.series, 0, series_of(key) .. '\t' .. id)
  end
end

-- Drops the members that did not succeed and are not stored any more: they do not count in the next round.
local function drop_gone(batch)
  local gone = {}
  for _, standing in ipairs({ 'F', 'C' }) do
    for _, entry in ipairs(entries_of(keys.members, batch, standing, '', -1)) do
      if redis.call('HEXISTS', keys.jobs, entry:match('([^\t]*)$')) == 0 then
        gone[#gone + 1] = entry
      end
    end
  end
  send('ZREM', keys.members, gone)
end

-- Records that a member waits again, which begins another round of a batch that has finished.
local function reopen(batch, id)
  local was_member = 0
  for _, standing in ipairs(STANDINGS) do
    was_member = was_member + redis.call('ZREM', keys.members, batch .. '\t' .. standing .. '\t' .. id)
  end
  if was_member == 0 then
    return
  end
  redis.call('ZADD', keys.members, 0, batch .. '\tL\t' .. id)
  local state = redis.call('HGET', keys.batch_states, batch)
  state = state and fields(state)
  if state and state[FINISHED] ~= '' then
    drop_gone(batch)
    state[ROUND] = text(state[ROUND] + 1)
    state[CANCELLED], state[FINISHED], state[CALLED], state[COUNTS] = '', '', '', ''
    redis.call('HSET', keys.batch_states, batch, table.concat(state, '\t'))
    redis.call('ZADD', keys.open, 0, batch)
  end
end

local refused = {}
local holders, had_text, had_state, had_others = pick(keys.held, ids), pick(keys.jobs, ids), pick(keys.states, ids),
  pick(keys.extra, ids)
for number, id in ipairs(ids) do
  local _, was_text, was_state, was_other, entry, new, time, key, job, state, other =
    unpack(rows, 11 * number - 10, 11 * number)
  local is_same = not holders[number] and flat(had_text[number]) == was_text
    and flat(had_state[number]) == was_state and flat(had_others[number]) == was_other
    and not (wishes[id] and is_taken(keys.unique, wishes[id], id, now))
    and not (onces[id] and redis.call('ZSCORE', keys.once, onces[id]))
  local is_there, was_due = false, false
  if is_same then
    is_there, was_due = leave(entry)
  end
  if not is_there then
    refused[#refused + 1] = id .. (is_same and '\t' or '')
  else
    local before, after = kind_of(entry), new ~= '' and kind_of(new)
    moved[before] = (moved[before] or 0) - 1
    if before:find('\tFAILED', 1, true) then
      not_failed[#not_failed + 1] = id
    end
    if not after then
      delete(id, entry, key)
    else
      moved[after] = (moved[after] or 0) + 1
      if wishes[id] then
        hold_key(keys.unique, wishes[id], id, now)
      end
      if onces[id] then
        take_once_key(id, onces[id])
      end
      move(id, entry, was_due, new, time, key)
      if after:find('\tFAILED', 1, true) then
        add(failed, 0, id)
      end
      if batches[id] then
        reopen(batches[id], id)
      end
      note(texts, id, job)
      note(states, id, state)
      note(others, id, other)
    end
  end
end
local answer = table.concat(refused, '\n')
if #refused == #ids then
  return answer
end

-- Begin with the commands that free memory, as in `finish`.
free_keys(keys.unique, gone)
free_keys(keys.unique, over, { started = true, finished = true })
send('ZREM', keys.tagged, untagged)
send('ZREM', keys.failed, not_failed)
send('ZREM', keys.index, gone)
send('ZREM', keys.series, out_of_series)
for _, key in ipairs({ keys.jobs, keys.states, keys.extra, keys.logs }) do
  send('HDEL', key, gone)
end
send('HSET', keys.jobs, texts)
send('HSET', keys.states, states)
send('HSET', keys.extra, others)
line_up(keys.ready, keys.tagged, due)
send('ZADD', keys.deferred, later)
send('ZADD', keys.finished, ended)
send('ZADD', keys.kept, kept)
send('ZADD', keys.failed, failed)
for number = 1, #known, 2 do
  redis.call('ZADD', keys.once, 'XX', known[number], known[number + 1])
end
for kind, number in pairs(moved) do
  local queue, status = kind:match('^(.*)\t(.*)$')
  count(keys.counts, queue, status, number)
end
redis.call('SET', keys.answer, answer, 'PX', 60000)
if tonumber(ARGV[1]) > 0 and #due > 0 then
  announce(23, tonumber(ARGV[1]))
end
return answer
