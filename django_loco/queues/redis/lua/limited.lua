-- Takes limited jobs (see core/job/limits.py), for `fetch`.
--
-- A limited job that is due is in `ready` with a kind of its own, which plain claims do not read: 4 for a sync job, 5 for an
-- async one. Its limit key stands behind the queue, with a VT between, so each key has lines of its own. The jobs of a line
-- with one priority are a *level*, which is the line, a CR and the priority. Levels with jobs are in
--
-- `turns`   a sorted set, in the order in which they are served: by priority, and then by when they were last served
-- `closed`  another one: those that open by themselves, by when they do. No fetch looks at them before.
-- `limited` a hash: the limit keys of the jobs that run, by id. What ends a run deletes its field.
-- `tats`, `closings`  sorted sets: the times of keys. `turn` has the number of the last turn.
--
-- A level without jobs may be in `turns`, and one may be in `closed` as well: the next fetch that meets it mends that.

local LONGEST_CLOSING = 60000000  -- microseconds

-- Reads the limits of a claim: four lines each, its name, concurrency, interval in microseconds and burst, 0 for none; and
-- those that people have changed: `changed_limits` is a hash with these numbers by name, with tabs between, and the JSON.
local function limits_of(list, changed_limits)
  local found, rows = {}, lines(list)
  for row = 1, #rows, 4 do
    found[rows[row]] = {
      concurrency = tonumber(rows[row + 1]), interval = tonumber(rows[row + 2]), burst = tonumber(rows[row + 3]),
    }
  end
  local changed = redis.call('HGETALL', changed_limits)
  for number = 1, #changed, 2 do
    local concurrency, interval, burst = changed[number + 1]:match('^(%d+)\t(%d+)\t(%d+)\t')
    found[changed[number]] = {
      concurrency = tonumber(concurrency), interval = tonumber(interval), burst = tonumber(burst),
    }
  end
  return found
end

-- Returns what decides whether jobs of limit keys may begin: the `Ledger` of core/job/limits.py.
local function ledger_of(keys, limits, now)
  local self, running, tats, closings, split = {}, nil, {}, {}, {}

  local function parts(limit_key)
    local found = split[limit_key]
    if not found then
      found = {}
      for key in limit_key:gmatch('[^ ]+') do
        found[#found + 1] = { key = key, limit = limits[key:match('^[^:]*')] }
      end
      split[limit_key] = found
    end
    return found
  end

  local function count_running()
    running = {}
    local stored = redis.call('HGETALL', keys.limited)
    for number = 2, #stored, 2 do
      for key in stored[number]:gmatch('[^ ]+') do
        running[key] = (running[key] or 0) + 1
      end
    end
  end

  -- A time that is ahead by more than a burst is of a clock that was put back.
  local function tat_of(part)
    local tat = tats[part.key]
    if not tat then
      tat = tonumber(redis.call('ZSCORE', keys.tats, part.key) or 0)
      local latest = now + part.limit.burst * part.limit.interval
      if tat > latest then
        tat = latest
        redis.call('ZADD', keys.tats, text(tat), part.key)
      end
      tats[part.key] = tat
    end
    return tat
  end

  local function closing_of(key)
    closings[key] = closings[key] or tonumber(redis.call('ZSCORE', keys.closings, key) or 0)
    return closings[key]
  end

  -- Returns whether one more job may begin now; and if not, when one may, or nothing if another one has to end first.
  function self.has_room(limit_key)
    local opens_at = now
    for _, part in ipairs(parts(limit_key)) do
      local limit = part.limit
      if limit and limit.concurrency > 0 then
        if not running then
          count_running()
        end
        if (running[part.key] or 0) >= limit.concurrency then
          return false
        end
      end
    end
    for _, part in ipairs(parts(limit_key)) do
      local limit = part.limit
      opens_at = math.max(opens_at, closing_of(part.key))
      if limit and limit.interval > 0 then
        opens_at = math.max(opens_at, tat_of(part) - (limit.burst - 1) * limit.interval)
      end
    end
    return opens_at <= now, opens_at
  end

  function self.start(limit_key)
    for _, part in ipairs(parts(limit_key)) do
      if running then
        running[part.key] = (running[part.key] or 0) + 1
      end
      if part.limit and part.limit.interval > 0 then
        tats[part.key] = math.max(tat_of(part), now) + part.limit.interval
        redis.call('ZADD', keys.tats, text(tats[part.key]), part.key)
      end
    end
  end
  return self
end

-- Returns functions that tell which levels and which places `claim` wants.
local function wishes_of(claim)
  local queues, tags = nil, nil
  for _, queue in ipairs(claim.queues or {}) do
    queues = queues or {}
    queues[queue] = true
  end
  for _, tag in ipairs(claim.tags or {}) do
    tags = tags or {}
    tags[tag] = true
  end
  local function wants_level(level)
    local queue = queue_of(level)
    local has_tags = level:find('\t\r', 1, true) ~= nil
    return (not claim.queues or queues and queues[queue]) and not claim.paused[queue]
      and (not claim.tags or (tags and has_tags) or (not tags and not has_tags))
  end
  local function wants_place(place)
    local is_wanted = not tags
    if tags then
      each_tag(place, function(entry) is_wanted = is_wanted or tags[entry:match('^[^\t]*')] end)
    end
    return is_wanted
  end
  return wants_level, wants_place
end

local function limit_key_of(level)
  return level:match('\v([^\t\r]*)')
end

-- Returns a function that returns the places of a level one after the other, and then nothing.
local function reader(keys, level, wants_place, shelves)
  local from, step, places, at = '[' .. level, 2, {}, 0
  return function()
    while true do
      at = at + 1
      if at > #places then
        if #places > 0 and #places < step then
          return nil
        end
        step, at = step * 2, 1
        places = redis.call('ZRANGEBYLEX', keys.ready, from, '(' .. level .. '\255', 'LIMIT', 0, step)
        if #places == 0 then
          return nil
        end
        from = '(' .. places[#places]
      end
      local place = places[at]
      if wants_place(place) then
        local free = { place }
        if shelves then
          free = {}
          sift(keys, { place }, 1, shelves, free)
        end
        if free[1] then
          return place
        end
      end
    end
  end
end

-- Moves levels that have opened back to `turns`.
local function reopen(keys, now)
  local opened = redis.call('ZRANGEBYSCORE', keys.closed, '-inf', text(now), 'LIMIT', 0, 1000)
  send('ZREM', keys.closed, opened)
  queue_up(opened)
end

-- Takes turns among the levels of one kind, and among the jobs at the places `plain`, the best ones without limits. Returns
-- up to `room` places; and the levels that were served.
local function take_turns(kind, room, plain, claim, keys, now, ledger, shelves)
  local wants_level, wants_place = wishes_of(claim)
  local taken, next_plain, served = {}, 1, {}

  -- Takes the next job of a level, after all plain ones that are better. Returns whether it may have more.
  local function serve(entry)
    local has_room, opens_at = ledger.has_room(entry.limit_key)
    if not has_room then
      if opens_at then
        entry.opens_at = opens_at
      end
      return false
    end
    local place = entry.place or entry.read()
    entry.place = nil
    if not place then
      return false
    end
    local rank = place:match('\r.*')
    while #taken < room and plain[next_plain] and plain[next_plain]:match('\r.*') < rank do
      taken[#taken + 1] = plain[next_plain]
      next_plain = next_plain + 1
    end
    if #taken >= room then
      return false
    end
    taken[#taken + 1] = place
    ledger.start(entry.limit_key)
    entry.was_served = true
    return true
  end

  local present, priority, from, page = {}, nil, 0, 100
  local function finish_priority()
    while #present > 0 and #taken < room do
      local again = {}
      for _, entry in ipairs(present) do
        if #taken < room and serve(entry) then
          again[#again + 1] = entry
        end
      end
      present = again
    end
    present = {}
  end

  while #taken < room do
    local levels = redis.call('ZRANGE', keys.turns, from, from + page - 1)
    for _, level in ipairs(levels) do
      if #taken < room and level:sub(1, 1) == kind and wants_level(level) then
        local its_priority = level:sub(-3)
        if its_priority ~= priority then
          finish_priority()
          priority = its_priority
        end
        local entry = { level = level, limit_key = limit_key_of(level), read = reader(keys, level, wants_place, shelves) }
        served[#served + 1] = entry
        if serve(entry) then
          present[#present + 1] = entry
        end
      end
    end
    if #levels < page then
      break
    end
    from = from + page
  end
  finish_priority()
  while #taken < room and plain[next_plain] do
    taken[#taken + 1] = plain[next_plain]
    next_plain = next_plain + 1
  end
  return taken, served
end

-- Lets the levels that were served wait for their next turns, when their jobs are no longer in `ready`; and those which open
-- by themselves until they do. Now and then a fetch looks at them all the same: somebody may have changed their limits.
local function note_turns(keys, served, now)
  for _, entry in ipairs(served) do
    local level = entry.level
    local is_empty = #redis.call('ZRANGEBYLEX', keys.ready, '[' .. level, '(' .. level .. '\255', 'LIMIT', 0, 1) == 0
    if is_empty then
      redis.call('ZREM', keys.turns, level)
    elseif entry.opens_at then
      redis.call('ZREM', keys.turns, level)
      redis.call('ZADD', keys.closed, text(math.min(entry.opens_at, now + LONGEST_CLOSING)), level)
    elseif entry.was_served then
      redis.call('ZREM', keys.turns, level)
      queue_up({ level })
    end
  end
  if redis.call('EXISTS', keys.turns) == 0 then
    redis.call('HDEL', keys.turn, 'last')
  end
end
