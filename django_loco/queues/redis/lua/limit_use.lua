-- Shows how limits are used. Changes nothing.
--
-- Keys: see the first line.
-- Arguments: keys of which to return the times, a line each, or '*' for all; in that case also the jobs that wait.
-- Returns the time; the limit keys of the jobs that run; three values for each level with jobs: its limit key, how many
-- they are, and since when the first of them is due; three values for each key: its name and its two times.
local ready, turns, closed, limited, tats, closings = unpack(KEYS)

local running, waiting, times, seen = {}, {}, {}, {}
local stored = redis.call('HGETALL', limited)
for number = 2, #stored, 2 do
  running[#running + 1] = stored[number]
end

local function show_times(key)
  if not seen[key] then
    seen[key] = true
    local tat, closing = redis.call('ZSCORE', tats, key), redis.call('ZSCORE', closings, key)
    if tat or closing then
      add(times, key, text(tat or 0))
      times[#times + 1] = text(closing or 0)
    end
  end
end

if ARGV[1] ~= '*' then
  for _, key in ipairs(lines(ARGV[1])) do
    show_times(key)
  end
  return { text(micros()), running, waiting, times }
end
for _, of in ipairs({ tats, closings }) do
  for _, key in ipairs(redis.call('ZRANGE', of, 0, -1)) do
    show_times(key)
  end
end
local counted = {}
for _, of in ipairs({ turns, closed }) do
  for _, level in ipairs(redis.call('ZRANGE', of, 0, -1)) do
    if not counted[level] then
      counted[level] = true
      local first = redis.call('ZRANGEBYLEX', ready, '[' .. level, '(' .. level .. '\255', 'LIMIT', 0, 1)[1]
      if first then
        add(waiting, level:match('\v([^\t\r]*)'), redis.call('ZLEXCOUNT', ready, '[' .. first, '(' .. level .. '\255'))
        waiting[#waiting + 1] = first:sub(#level + 1, #level + 16)
      end
    end
  end
end
return { text(micros()), running, waiting, times }
