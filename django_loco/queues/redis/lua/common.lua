-- Functions that the scripts share. This text is put in front of each script.
--
-- A list is passed as one text with a line per value, which takes a tenth of the time of separate arguments. JSON has no
-- bare line breaks, so none have to be escaped. Times are whole microseconds since 1970, on the server's clock.
--
-- A job waits at a *place*, a text that sorts in the order in which jobs should run:
--     <kind><queue>[VT <limit key>][TAB] CR <priority, 3 digits><due time, 16 digits><id> TAB <tag> TAB <tag> ...
-- The kind is 0 for a sync job, 1 for an async one, 2 more for a suspect, and 4 more if it is limited.
-- Names are JSON strings.
-- The part before the CR is the *line*; it ends with a TAB if the job has tags. The places of a line are neighbours in
-- `ready`, and hopping finds one line after the other, so jobs that are not wanted are never read. A job with tags is also
-- in `tagged`, once per tag, as
--     <tag> TAB <place>
-- so that there are lines per tag for workers that want only some tags. Other workers do not read them.

local CHUNK = 4000  -- Lua can hand over some 8,000 values in one call.

-- Plain `find` takes half the time of a pattern if lines are long.
local function lines(list)
  local found, number, from = {}, 0, 1
  local to = list:find('\n', from, true)
  while to do
    number = number + 1
    found[number] = list:sub(from, to - 1)
    from = to + 1
    to = list:find('\n', from, true)
  end
  return found
end

-- Returns the values of a list of keys and values, a line each, by their keys.
local function pairs_of(list)
  local found, rows = {}, lines(list)
  for row = 1, #rows, 2 do
    found[rows[row]] = rows[row + 1]
  end
  return found
end

local function micros()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Returns a time as text; by itself Lua would round it.
local function text(time)
  return string.format('%.0f', time)
end

-- Calls a command with many values, in several calls if necessary.
local function send(command, key, values)
  for first = 1, #values, CHUNK do
    redis.call(command, key, unpack(values, first, math.min(first + CHUNK - 1, #values)))
  end
end

-- Returns the values of a hash for `ids`; `false` for an id that it does not have.
local function pick(key, ids)
  if #ids > 0 and #ids <= CHUNK then
    return redis.call('HMGET', key, unpack(ids))
  end
  local found = {}
  for first = 1, #ids, CHUNK do
    for _, value in ipairs(redis.call('HMGET', key, unpack(ids, first, math.min(first + CHUNK - 1, #ids)))) do
      found[#found + 1] = value
    end
  end
  return found
end

local function add(list, first, second)
  local length = #list
  list[length + 1] = first
  list[length + 2] = second
end

-- Calls `visit` with each entry of `tagged` for `place`. A place without tags has none.
local function each_tag(place, visit)
  local tags = place:match('\r[^\t]*(\t.*)')
  for tag in (tags or ''):gmatch('\t([^\t]*)') do
    visit(tag .. '\t' .. place)
  end
end

-- The keys `turns` and `turn` (see `limited`), which a script sets that lines up jobs.
local turns_key, turn_key

-- Lets levels of limited jobs wait for their turns, after all others of their priority.
local function queue_up(levels)
  if #levels == 0 then
    return
  end
  local last, turns = redis.call('HINCRBY', turn_key, 'last', #levels), {}
  for number, level in ipairs(levels) do
    add(turns, text(math.min(tonumber(level:sub(-3)), 800) * 8e12 + last - #levels + number), level)
  end
  for first = 1, #turns, CHUNK do
    redis.call('ZADD', turns_key, 'NX', unpack(turns, first, math.min(first + CHUNK - 1, #turns)))
  end
end

-- Adds due jobs at `places`, which is a list of scores and places.
local function line_up(ready, tagged, places)
  local more, levels = {}, {}
  for number = 2, #places, 2 do
    local place = places[number]
    each_tag(place, function(entry) add(more, 0, entry) end)
    local level = place:byte() > 51 and place:match('^[^\r]*\r...')  -- a kind above 3
    if level and not levels[level] then
      levels[level] = true
      levels[#levels + 1] = level
    end
  end
  send('ZADD', ready, places)
  send('ZADD', tagged, more)
  queue_up(levels)
end

-- Changes the number of jobs of a queue and status. A count of 0 is deleted.
local function count(counts, queue, status, number)
  local field = queue .. '\t' .. status
  if redis.call('HINCRBY', counts, field, number) == 0 then
    redis.call('HDEL', counts, field)
  end
end

-- Adds the entry of a job that has ended to `finished`, or to `kept` if it has a retention. `time` is when it has ended;
-- if it has a retention, a tab and the time until which it is kept follow. Returns when it has ended.
local function add_ended(finished, kept, time, entry)
  local ended, until_then = time:match('^(%-?%d+)\t(%-?%d+)$')
  add(ended and kept or finished, until_then or time, entry)
  return ended or time
end

-- Returns the prefix of the entries of a series: the part of the once-key "series@member", a JSON string, before the last
-- "@"; nothing for a key without one. An entry of `series` is this prefix, a TAB and an id. So the entries of a series are
-- neighbours, in the order of their ids.
local function series_of(key)
  return key:match('^(.*)@')
end

local function queue_of(line)
  return line:match('^.([^\t\v\r]*)')
end

-- Leaves `number` marks in each channel from KEYS[first] on. A waiting worker takes one (BZPOPMIN) and fetches jobs. The
-- marks have names, so that they do not accumulate while no worker waits. Channels expire, because there may be one for
-- each customer. A worker fetches before it begins to listen.
local function announce(first, number)
  local marks = {}
  for mark = 1, math.min(number, 16) do
    add(marks, 0, mark)
  end
  for channel = first, #KEYS do
    if redis.call('ZADD', KEYS[channel], unpack(marks)) > 0 then
      redis.call('PEXPIRE', KEYS[channel], 10000)
    end
  end
end
