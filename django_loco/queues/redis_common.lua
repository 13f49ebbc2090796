-- What the scripts have in common; put in front of each of them.
--
-- Lists come and go as one text, a line per value: that takes a tenth of the time that as many arguments do. JSON has
-- no bare line breaks, so that none needs escaping. Times are whole microseconds since 1970, on the server's clock.
--
-- Where a job waits is a *place*, a text that sorts as jobs are to run:
--     <0 sync, 1 async><queue> TAB <tag> TAB <tag> ... CR <priority, 3 digits><due time, 16 digits><id>
-- What precedes the CR (queue and tags as JSON words) is its *line*: all places of one line are neighbours in `ready`,
-- and one line after the other can be found by hopping, so that jobs nobody asked for are never looked at.

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

-- Changes counts: how many jobs there are per queue and status.
local function count(counts, queue, status, number)
  redis.call('HINCRBY', counts, queue .. '\t' .. status, number)
end

local function queue_of(line)
  return line:match('^.([^\t\r]*)')
end

-- Leaves `number` marks in each bell, KEYS[first] and on. Who waits takes one (BZPOPMIN) and looks for jobs. The marks
-- have names, so that they do not pile up while nobody waits.
local function ring(first, number)
  local marks = {}
  for mark = 1, math.min(number, 16) do
    add(marks, 0, mark)
  end
  for bell = first, #KEYS do
    redis.call('ZADD', KEYS[bell], unpack(marks))
  end
end
