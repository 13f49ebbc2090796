-- One half of `exchange`: stores the outcomes of runs.

-- The ends of the unique keys that a job gives up when it ends, see `free_keys`.
local ENDS = { started = true, finished = true }

-- The number of runs of a job whose logs are kept, as in `rows.LOGS_KEPT`.
local LOGS_KEPT = 5

-- Returns the logs of a job, which are separated by tabs, with another one. The oldest goes if there are too many.
local function with_log(before, log)
  local _, tabs = (before or ''):gsub('\t', '')
  if tabs >= LOGS_KEPT - 1 then
    before = before:match('^[^\t]*\t(.*)')
  end
  return before and before .. '\t' .. log or log
end

-- Puts the closed levels that have one of the keys `names`, which have room now, back in line for their turns.
local function open_levels(keys, names)
  local opened = {}
  for _, level in ipairs(redis.call('ZRANGE', keys.closed, 0, -1)) do
    for key in limit_key_of(level):gmatch('[^ ]+') do
      if names[key] then
        opened[#opened + 1] = level
        break
      end
    end
  end
  send('ZREM', keys.closed, opened)
  queue_up(opened)
end

-- Closes keys of limits, and gives starts back. Each of `ends` has for how many microseconds a job closes its keys, or
-- nothing if it gives its starts back; and the keys, with spaces between.
local function note_ends(keys, ends, limits, now)
  local limiter, given_back = limiter_of(keys, limits_of(limits, keys.changed_limits), now), {}
  for _, what in ipairs(ends) do
    local duration, names = what:match('^(%d*) (.*)$')
    if duration == '' then
      limiter.give_back(names)
      names:gsub('[^ ]+', function(key) given_back[key] = true end)
    else
      limiter.close(names, tonumber(duration))
    end
  end
  if next(given_back) then
    open_levels(keys, given_back)
  end
end

-- `payload` has six lines per outcome: id, token, the job's new state, its queue and status separated by a tab. If the job
-- is READY, its place and the earliest time of its next run (or nothing) follow; otherwise its once-key (or nothing) and
-- the time when it ended (see `add_ended`). `log_of` has the logs of some of these runs by id, `ends_of` what some of them do
-- with keys of `limits` (see `note_ends`).
-- Returns the ids refused: of jobs that are not held, or are held with another token. With `only_expired` also of jobs with
-- a valid lease. An outcome that is already stored in the same words is accepted again: its first reply did not arrive.
-- The earliest time of the next run of a job that waits for a signal is followed by a tab and the signals that it had when
-- it was fetched. If it has other signals now, the outcome is refused as well.
-- The state may be followed by a tab and the job's checkpoint, which stays until the job has succeeded.
local function finish(payload, log_of, ends_of, limits, keys, now, only_expired)
  local rows, ids = lines(payload), {}
  for row = 1, #rows, 6 do
    ids[#ids + 1] = rows[row]
  end

  local held, before = pick(keys.held, ids), pick(keys.states, ids)
  local logs, gone, states, new, due, later, ended, kept = {}, {}, {}, {}, {}, {}, {}, {}
  local failed, refused, moved, known, over, ends = {}, {}, {}, {}, {}, {}
  for number, id in ipairs(ids) do
    local _, token, state, kind, name, time = unpack(rows, 6 * number - 5, 6 * number)
    local is_ready = kind:find('\tREADY', 1, true)
    local holder, waits = not new[id] and held[number], is_ready and time:find('\t', 1, true)
    local is_signalled = false
    if waits then
      local others = redis.call('HGET', keys.extra, id) or ''
      is_signalled = (others:match('\t(.*)') or '') ~= time:sub(waits + 1)
      time = time:sub(1, waits - 1)
    end
    if holder and is_signalled then
      refused[#refused + 1] = id
    elseif holder and only_expired and tonumber(redis.call('ZSCORE', keys.leases, id) or 0) > now then
      refused[#refused + 1] = id
    elseif holder and holder:find(token .. '\t', 1, true) == 1 then
      new[id] = state
      gone[#gone + 1] = id
      local checkpoint = before[number] and before[number]:match('\t.*')
      add(states, id, checkpoint and not kind:find('\tSUCCESSFUL', 1, true) and state .. checkpoint or state)
      moved[kind] = (moved[kind] or 0) + 1
      ends[#ends + 1] = ends_of[id]
      if log_of[id] then
        add(logs, id, with_log(redis.call('HGET', keys.logs, id), log_of[id]))
      end
      if not is_ready then
        over[#over + 1] = id
        local of_series = name ~= '' and series_of(name)
        time = add_ended(ended, kept, time, id .. '\t' .. kind .. (of_series and '\t' .. of_series or ''))
        if kind:find('\tFAILED', 1, true) then
          add(failed, 0, id)
        end
        if name ~= '' then
          add(known, time, name)
        end
      elseif time == '' or tonumber(time) <= now then
        add(due, 0, name)
      else
        add(later, time, name)
      end
    elseif only_expired or (new[id] or before[number] or ''):match('^[^\t]*') ~= state then
      refused[#refused + 1] = id
    end
  end

  -- Begin with the commands that free memory: a full server then lets the script continue.
  send('HDEL', keys.held, gone)
  send('ZREM', keys.leases, gone)
  if redis.call('EXISTS', keys.limited) == 1 then
    send('HDEL', keys.limited, gone)
  end
  free_keys(keys.unique, over, ENDS)
  send('HSET', keys.states, states)
  send('HSET', keys.logs, logs)
  send('ZADD', keys.finished, ended)
  send('ZADD', keys.kept, kept)
  send('ZADD', keys.failed, failed)
  if #ends > 0 then
    note_ends(keys, ends, limits, now)
  end
  line_up(keys.ready, keys.tagged, due)
  send('ZADD', keys.deferred, later)
  for number = 1, #known, 2 do
    redis.call('ZADD', keys.once, 'XX', known[number], known[number + 1])
  end
  for kind, number in pairs(moved) do
    local queue, status = kind:match('^(.*)\t(.*)$')
    count(keys.counts, queue, 'RUNNING', -number)
    count(keys.counts, queue, status, number)
  end
  return refused
end
