-- Shows how limits are used, part by part, so that other clients are served in between. Changes nothing.
--
-- Keys: see the first line.
-- Arguments: the keys whose times to return, a line each; or '*' for a part of all keys and of the waiting jobs, and where
-- the part begins: a place, and the cursors of `tats` and of `closings` (see `ZSCAN`), each empty if it has come to the end.
-- The first part begins with the kinds of limited jobs. Only this part has the running jobs.
-- Returns the time; the limit keys of the running jobs; three values for each level with jobs: its limit key, the number of
-- its jobs, and since when the first of them is due; keys with their times in `tats`, in `closings`, and in `closed_at`; and
-- the three values with which the next part begins.
local ready, limited, tats, closings, closed_at = unpack(KEYS)
local LEVELS, TIMES, FIRST = 150, 300, '4'

local function running()
  local found, stored = {}, redis.call('HGETALL', limited)
  for number = 2, #stored, 2 do
    found[#found + 1] = stored[number]
  end
  return found
end

local function times_of(of, names)
  local found = {}
  for _, key in ipairs(names) do
    local time = redis.call('ZSCORE', of, key)
    if time then
      add(found, key, time)
    end
  end
  return found
end

if ARGV[1] ~= '*' then
  local names = lines(ARGV[1])
  return {
    text(micros()), running(), {}, times_of(tats, names), times_of(closings, names), times_of(closed_at, names),
    { '', '', '' },
  }
end

-- Hops over the levels in `ready`. Returns the values of each, and the place with which to go on.
local function levels_from(start)
  local found, from = {}, '[' .. start
  for _ = 1, LEVELS do
    local place = redis.call('ZRANGEBYLEX', ready, from, '+', 'LIMIT', 0, 1)[1]
    if not place then
      return found, ''
    end
    -- Somebody else may have written it: then there is no such level, limit key, or time.
    local level = place:match('^[^\r]*\r...') or ''
    local limit_key, due = level:match('\v([^\t\r]*)\t?\r'), place:sub(#level + 1, #level + 16):match('^%d+$')
    start = level .. '\255'
    if level == '' or start <= place then
      start = place .. '\0'
    end
    if limit_key and due then
      add(found, limit_key, redis.call('ZLEXCOUNT', ready, '[' .. place, '(' .. start))
      found[#found + 1] = due
    end
    from = '[' .. start
  end
  return found, start
end

local function some_of(key, cursor)
  if cursor == '' then
    return {}, ''
  end
  local following, found = unpack(redis.call('ZSCAN', key, cursor, 'COUNT', TIMES))
  return found, following ~= '0' and following or ''
end

local waiting, start = {}, ''
if ARGV[2] ~= '' then
  waiting, start = levels_from(ARGV[2])
end
local some_tats, tat_cursor = some_of(tats, ARGV[3])
local some_closings, closing_cursor = some_of(closings, ARGV[4])
local closed_keys = {}
for number = 1, #some_closings, 2 do
  closed_keys[#closed_keys + 1] = some_closings[number]
end
return {
  text(micros()), ARGV[2] == FIRST and running() or {}, waiting, some_tats, some_closings, times_of(closed_at, closed_keys),
  { start, tat_cursor, closing_cursor },
}
