-- What the scripts have in common; put in front of each of them.
--
-- Lists come and go as one text, a line per value: that takes a tenth of the time that as many arguments do. JSON has
-- no bare line breaks, so that none needs escaping. Times are whole microseconds since 1970, on the server's clock.
--
-- Where a job waits is a *place*, a text that sorts as jobs are to run:
--     <kind><queue>[TAB] CR <priority, 3 digits><due time, 16 digits><id> TAB <tag> TAB <tag> ...
-- The kind is 0 for a sync job, 1 for an async one, and 2 more for a suspect, so that these stand apart.
-- Names are JSON words. What precedes the CR is its *line*, with a TAB at its end if the job has tags: all places of
-- one line are neighbours in `ready`, and one line after the other can be found by hopping, so that jobs nobody asked
-- for are never looked at. A job with tags is in `tagged` as well, once for each, as
--     <tag> TAB <place>
-- so that there are lines per tag, too, for those who want these alone. However many tags there are, nobody else has to
-- hop over them.

local CHUNK = 4000  -- Lua can hand over some 8,000 values in one call.

local function lines(list)
  local found, number = {}, 0
  for line in list:gmatch('([^\n]*)\n') do
    number = number + 1
    found[number] = line
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

-- Calls a command that takes many values, in several calls if need be.
local function send(command, key, values)
  for first = 1, #values, CHUNK do
    redis.call(command, key, unpack(values, first, math.min(first + CHUNK - 1, #values)))
  end
end

-- Returns the values that a hash has for `ids`, each of them `false` if it has none.
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

-- Calls `visit` with what stands in `tagged` for `place`: nothing if it has no tags.
local function each_tag(place, visit)
  local tags = place:match('\r[^\t]*(\t.*)')
  for tag in (tags or ''):gmatch('\t([^\t]*)') do
    visit(tag .. '\t' .. place)
  end
end

-- Lets jobs that are due wait at `places`, which is a list of scores and places.
local function line_up(ready, tagged, places)
  local more = {}
  for number = 2, #places, 2 do
    each_tag(places[number], function(entry) add(more, 0, entry) end)
  end
  send('ZADD', ready, places)
  send('ZADD', tagged, more)
end

-- Changes counts: how many jobs there are per queue and status. Those that there are none of are not kept.
local function count(counts, queue, status, number)
  local field = queue .. '\t' .. status
  if redis.call('HINCRBY', counts, field, number) == 0 then
    redis.call('HDEL', counts, field)
  end
end

-- Returns what the entries of a series begin with: of the once-key "series@member", a JSON word, what comes before the
-- last "@"; nothing for a key without one. An entry of `series` is that, a TAB and an id: those of one series are
-- neighbours, in the order of their ids.
local function series_of(key)
  return key:match('^(.*)@')
end

local function queue_of(line)
  return line:match('^.([^\t\r]*)')
end

-- Leaves `number` marks in each channel, KEYS[first] and on. Who waits takes one (BZPOPMIN) and looks for jobs. The marks
-- have names, so that they do not pile up while nobody waits, and channels that nobody listens to are gone after a while:
-- there may be one for each customer. Who comes later looks for jobs before it listens.
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
