-- Decides whether limited jobs may begin (see core/job/limits.py).

-- Reads the limits of a claim: four lines each, its name, concurrency, interval in microseconds and burst, 0 for none; and
-- the limits that people have changed: `changed_limits` is a hash with these numbers by name, with tabs between, and the JSON.
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

-- Returns an object that decides whether jobs of limit keys may begin, like the `Limiter` of core/job/limits.py.
local function limiter_of(keys, limits, now)
  local self, running, tats, closings, split, full = {}, nil, {}, {}, {}, {}

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

  -- A time that is ahead by more than a burst was stored before the clock was set back.
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

  local function close_until(key, moment)
    closings[key] = moment
    redis.call('ZADD', keys.closings, text(moment), key)
    redis.call('ZADD', keys.closed_at, text(now), key)
  end

  -- A closing that begins later than now was stored before the clock was set back.
  local function closing_of(key)
    if not closings[key] then
      closings[key] = tonumber(redis.call('ZSCORE', keys.closings, key) or 0)
      local closed_at = closings[key] > now and tonumber(redis.call('ZSCORE', keys.closed_at, key) or 0) or 0
      if closed_at > now then
        close_until(key, now + closings[key] - closed_at)
      end
    end
    return closings[key]
  end

  -- Returns whether one more job may begin now. If not, also returns when it may, or nothing if another job has to end first.
  function self.has_room(limit_key)
    local opens_at = now
    for _, part in ipairs(parts(limit_key)) do
      local limit = part.limit
      if limit and limit.concurrency > 0 then
        if not running then
          count_running()
        end
        if (running[part.key] or 0) >= limit.concurrency then
          full[part.key] = true
          return false
        end
      end
    end
    for _, part in ipairs(parts(limit_key)) do
      local limit = part.limit
      if limit then
        opens_at = math.max(opens_at, closing_of(part.key))
      end
      if limit and limit.interval > 0 then
        opens_at = math.max(opens_at, tat_of(part) - (limit.burst - 1) * limit.interval)
      end
    end
    return opens_at <= now, opens_at
  end

  -- Returns whether a key is known to be full. It stays so in this script.
  function self.is_full(limit_key)
    for key in limit_key:gmatch('[^ ]+') do
      if full[key] then
        return true
      end
    end
    return false
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

  -- Closes keys, with spaces between, for some microseconds.
  function self.close(names, duration)
    for key in names:gmatch('[^ ]+') do
      if now + duration > closing_of(key) then
        close_until(key, now + duration)
      end
    end
  end

  -- Gives back the start of a job with these keys that does not begin.
  function self.give_back(names)
    for _, part in ipairs(parts(names)) do
      if part.limit and part.limit.interval > 0 and tat_of(part) > now then
        tats[part.key] = math.max(now, tat_of(part) - part.limit.interval)
        redis.call('ZADD', keys.tats, text(tats[part.key]), part.key)
      end
    end
  end
  return self
end
