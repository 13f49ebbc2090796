-- Functions of the scripts that search due jobs.

-- Moves jobs that have become due from `deferred` to `ready`, the earliest first. Their number is limited, so that other
-- clients do not wait. It begins with the commands that free memory: a full server then lets the script continue.
local function promote(deferred, ready, tagged, now)
  local places = redis.call('ZRANGEBYSCORE', deferred, '-inf', text(now), 'LIMIT', 0, 1000)
  local due = {}
  for _, place in ipairs(places) do
    add(due, 0, place)
  end
  send('ZREM', deferred, places)
  line_up(ready, tagged, due)
end

-- Calls `visit` with every line of `key` between the bounds: the line, and the first place in it.
local function hop(key, from, to, visit)
  while from ~= to do
    local place = redis.call('ZRANGEBYLEX', key, from, to, 'LIMIT', 0, 1)[1]
    if not place then
      return
    end
    local line = place:match('^[^\r]*')
    visit(line, place)
    from = '(' .. line .. '\14'
  end
end

-- Returns the names of the queues that are paused, as keys of a table.
local function paused(key)
  local names = {}
  for _, name in ipairs(redis.call('SMEMBERS', key)) do
    names[name] = true
  end
  return names
end

-- Calls `visit` with every line of one kind (a digit, see `place`) that has jobs and is wanted, and its first place.
-- `queues` and `tags` are lists of JSON strings, or nil for all; an empty list of tags means jobs without tags. With tags
-- the lines are in `tagged`, otherwise in `ready`. `paused` has the names of queues that are left out.
local function each_line(ready, tagged, kind, queues, tags, paused, visit)
  local by_tag, only_untagged, is_any_paused = tags and #tags > 0, tags and #tags == 0, next(paused)
  local function wanted(line, place)
    if only_untagged and line:sub(-1) == '\t' then
      return
    end
    if not (is_any_paused and paused[queue_of(by_tag and line:match('\t(.*)') or line)]) then
      visit(line, place)
    end
  end

  for _, tag in ipairs(by_tag and tags or { '' }) do
    local key, start = by_tag and tagged or ready, (by_tag and tag .. '\t' or '') .. kind
    for _, queue in ipairs(queues or {}) do
      hop(key, '[' .. start .. queue .. '\t', '(' .. start .. queue .. '\14', wanted)
    end
    if not queues then
      hop(key, '[' .. start, '(' .. start .. '\255', wanted)
    end
  end
end

-- Reads one of the two lists that `each_line` takes: a line per word, or '*' for nil.
local function words(list)
  return list ~= '*' and lines(list) or nil
end
