-- What the scripts share that look for jobs to run.

-- Moves jobs that have become due from `deferred` to `ready`, the earliest first, as many as do not hold others up.
local function promote(deferred, ready, now)
  local places = redis.call('ZRANGEBYSCORE', deferred, '-inf', text(now), 'LIMIT', 0, 1000)
  local due = {}
  for _, place in ipairs(places) do
    add(due, 0, place)
  end
  send('ZADD', ready, due)
  send('ZREM', deferred, places)
end

-- Calls `visit` with every line of one kind (0 sync, 1 async) that has jobs and is wanted, and its first place. `queues`
-- and `tags` are lists of JSON words, or nil: whatever they are. An empty list of tags means: only jobs without.
local function each_line(ready, kind, queues, tags, visit)
  local function is_wanted(line)
    local has = line:match('\t.*')
    if tags and #tags == 0 then
      return not has
    end
    for _, tag in ipairs(tags or {}) do
      if has and (has .. '\t'):find('\t' .. tag .. '\t', 1, true) then
        return true
      end
    end
    return not tags
  end

  local function hop(from, to)
    while true do
      local place = redis.call('ZRANGEBYLEX', ready, from, to, 'LIMIT', 0, 1)[1]
      if not place then
        return
      end
      local line = place:match('^[^\r]*')
      if is_wanted(line) then
        visit(line, place)
      end
      from = '(' .. line .. '\14'
    end
  end

  for _, queue in ipairs(queues or {}) do
    hop('[' .. kind .. queue .. '\t', '(' .. kind .. queue .. '\14')
  end
  if not queues then
    hop('[' .. kind, '(' .. kind + 1)
  end
end

-- Reads one of the two lists that `each_line` takes: a line per word, or '*' for nil.
local function words(list)
  return list ~= '*' and lines(list) or nil
end
