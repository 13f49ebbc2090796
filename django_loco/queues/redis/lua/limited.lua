-- Takes limited jobs (see core/job/limits.py), for `fetch`.
--
-- A limited job that is due is in `ready` with a kind of its own, which plain claims do not read: 4 more than the kind of a
-- plain job like it. Its limit key stands behind the queue, with a VT between, so each key has lines of its own. The jobs of
-- a line with one priority are a *level*, which is the line, a CR and the priority. Levels with jobs are in
--
-- `turns`   a sorted set, in the order in which they are served: by priority, and then by when they were last served
-- `closed`  another one: levels that open by themselves, by the time when they do. No fetch looks at them before.
-- `limited` a hash: the limit keys of the running jobs, by id. The script that ends a run deletes its field.
-- `tats`, `closings`, `closed_at`  sorted sets: the times of keys. `turn` has the number of the last turn.
--
-- A level without jobs may be in `turns`, and a level may be in both sets: the next fetch that meets it corrects that.

local LONGEST_CLOSING = 60000000  -- microseconds
local MOST_LEFT = 500  -- how many levels that leave `turns` one fetch looks at

-- Returns the kinds of limited jobs that belong to `kinds`, the kinds of plain jobs.
local function limited(kinds)
  return (kinds:gsub('%d', function(kind) return kind + 4 end))
end

-- Returns a function that tells which levels `claim` wants.
local function wish_of(claim)
  local queues, has_wish = nil, claim.tags and #claim.tags > 0
  for _, queue in ipairs(claim.queues or {}) do
    queues = queues or {}
    queues[queue] = true
  end
  return function(level)
    local queue = queue_of(level)
    local has_tags = level:find('\t\r', 1, true) ~= nil
    return (not claim.queues or queues and queues[queue]) and not claim.paused[queue]
      and (not claim.tags or has_wish == has_tags)
  end
end

local function limit_key_of(level)
  return level:match('\v([^\t\r]*)')
end

-- Returns a function that returns the entries of `key` that begin with `start` one after the other, and then nothing.
local function entries_from(key, start)
  local from, step, entries, at = '[' .. start, 2, {}, 0
  return function()
    at = at + 1
    if at > #entries then
      if #entries > 0 and #entries < step then
        return nil
      end
      step, at = step * 2, 1
      entries = redis.call('ZRANGEBYLEX', key, from, '(' .. start .. '\255', 'LIMIT', 0, step)
      if #entries == 0 then
        return nil
      end
      from = '(' .. entries[#entries]
    end
    return entries[at]
  end
end

-- The same for the places of a level with one of the wanted tags: the places of each tag are neighbours in `tagged`.
local function tagged_places(keys, level, tags)
  local heads = {}
  for _, tag in ipairs(tags) do
    local next_entry = entries_from(keys.tagged, tag .. '\t' .. level)
    local function next_place()
      local entry = next_entry()
      return entry and entry:sub(#tag + 2)
    end
    heads[#heads + 1] = { next_place = next_place, place = next_place() }
  end
  return function()
    local best
    for _, head in ipairs(heads) do
      if head.place and (not best or head.place < best) then
        best = head.place
      end
    end
    for _, head in ipairs(heads) do
      if head.place == best then
        head.place = best and head.next_place()
      end
    end
    return best
  end
end

-- Returns a function that returns the places of a level that `claim` wants one after the other, and then nothing.
local function reader(keys, level, claim, shelves)
  local has_wish = claim.tags and #claim.tags > 0
  local next_place = has_wish and tagged_places(keys, level, claim.tags) or entries_from(keys.ready, level)
  return function()
    local place = next_place()
    while place and shelves do
      local free = {}
      sift(keys, { place }, 1, shelves, free)
      if free[1] then
        break
      end
      place = next_place()
    end
    return place
  end
end

-- Moves levels back to `turns` that have opened, or that were closed before the clock was set back.
local function reopen(keys, now)
  for _, range in ipairs({ { '-inf', text(now) }, { '(' .. text(now + LONGEST_CLOSING), '+inf' } }) do
    local opened = redis.call('ZRANGEBYSCORE', keys.closed, range[1], range[2], 'LIMIT', 0, 1000)
    send('ZREM', keys.closed, opened)
    queue_up(opened)
  end
end

-- Returns the ranges of scores in `turns` in the order in which they are served. With ageing each priority has a range, and
-- the level whose turn it is decides on its rank. Without ageing the only value stands for all scores in their order.
local function ranges_of(keys, claim, now, is_wanted)
  if not claim.ageing then
    return { false }
  end
  local ranges, from = {}, '-inf'
  while from do
    local first = redis.call('ZRANGEBYSCORE', keys.turns, from, '+inf', 'LIMIT', 0, 1)[1]
    local priority = first and math.min(tonumber(first:sub(-3)), 800)
    from = first and text((priority + 1) * 8e12)
    if first then
      local range = { text(priority * 8e12), '(' .. from, rank = ('%017.0f'):format(now + priority * claim.ageing) }
      for _, level in ipairs(redis.call('ZRANGEBYSCORE', keys.turns, range[1], range[2], 'LIMIT', 0, 100)) do
        local place = is_wanted(level)
          and redis.call('ZRANGEBYLEX', keys.ready, '[' .. level, '(' .. level .. ':', 'LIMIT', 0, 1)[1]
        if place then
          range.rank = rank_of(place, claim.ageing)
          break
        end
      end
      ranges[#ranges + 1] = range
    end
  end
  table.sort(ranges, function(one, other) return one.rank < other.rank end)
  return ranges
end

-- Takes jobs from the levels of `kinds` in turns, and the jobs at the places `plain`, which are the best ones without limits.
-- Returns up to `room` places, and the levels that were served. Sets `keys.goes_on` if it stopped because many levels have to
-- leave `turns`: then the next fetch finds the others there.
local function take_turns(kinds, room, plain, claim, keys, now, limiter, shelves)
  local wants_level, left = wish_of(claim), 0
  local taken, next_plain, served = {}, 1, {}

  -- Takes the next job of a level, after all plain ones that are better. Returns whether it may have more.
  local function serve(entry)
    local has_room, opens_at = limiter.has_room(entry.limit_key)
    if not has_room then
      if opens_at then
        entry.opens_at = opens_at
        left = left + 1
      end
      return false
    end
    local place = entry.place or entry.read()
    entry.place = nil
    if not place then
      left = left + (claim.tags and 0 or 1)
      return false
    end
    local rank = rank_of(place, claim.ageing)
    while #taken < room and plain[next_plain] and rank_of(plain[next_plain], claim.ageing) < rank do
      taken[#taken + 1] = plain[next_plain]
      next_plain = next_plain + 1
    end
    if #taken >= room then
      return false
    end
    taken[#taken + 1] = place
    limiter.start(entry.limit_key)
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

  local function is_wanted(level)
    return kinds:find(level:sub(1, 1), 1, true) and wants_level(level)
  end
  local ranges = ranges_of(keys, claim, now, is_wanted)
  while #taken < room and ranges[1] ~= nil and left < MOST_LEFT do
    local range = ranges[1]
    local levels = range and redis.call('ZRANGEBYSCORE', keys.turns, range[1], range[2], 'LIMIT', from, page)
      or redis.call('ZRANGE', keys.turns, from, from + page - 1)
    for _, level in ipairs(levels) do
      local limit_key = limit_key_of(level)
      if #taken < room and left < MOST_LEFT and is_wanted(level) and not limiter.is_full(limit_key) then
        local its_priority = level:sub(-3)
        if its_priority ~= priority then
          finish_priority()
          priority = its_priority
        end
        local entry = { level = level, limit_key = limit_key, read = reader(keys, level, claim, shelves) }
        served[#served + 1] = entry
        if serve(entry) then
          present[#present + 1] = entry
        end
      end
    end
    from = from + page
    if #levels < page then
      table.remove(ranges, 1)
      from = 0
    end
  end
  finish_priority()
  keys.goes_on = keys.goes_on or left >= MOST_LEFT and #taken < room
  while #taken < room and plain[next_plain] do
    taken[#taken + 1] = plain[next_plain]
    next_plain = next_plain + 1
  end
  return taken, served
end

-- Lets the levels that were served wait for their next turns, after their jobs have left `ready`. Closes levels that open by
-- themselves until they do. Now and then a fetch looks at them all the same: somebody may have changed their limits.
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
