-- Adds to the statistics of some minutes, to the sums of their hours, and to the totals, once.
--
-- Keys: see the first line; a key that exists if this batch was added already; the hash of each minute; the hash of each
-- hour, in the same order.
-- Arguments: for how many milliseconds the batch is remembered; for how many minutes a minute is kept, by the server's
-- clock; the numbers of the minutes, a line each; three lines per row: which of these minutes, the field, and the numbers
-- to add to it, with spaces between.
local minutes, totals, totaled, recorded = unpack(KEYS)
local BEFORE_FIRST = 4

if redis.call('GET', recorded) then
  return
end
redis.call('SET', recorded, '1', 'PX', ARGV[1])

local function add(key, field, numbers)
  local before = (redis.call('HGET', key, field) or ''):gmatch('%d+')
  local sums = {}
  for number in numbers:gmatch('%d+') do
    sums[#sums + 1] = text(number + (before() or 0))
  end
  redis.call('HSET', key, field, table.concat(sums, ' '))
end

local numbers, rows = lines(ARGV[3]), lines(ARGV[4])
local hour_keys, hours = {}, 0
for place, number in ipairs(numbers) do
  local hour = math.floor(number / 60)
  if not hour_keys[hour] then
    hours = hours + 1
    hour_keys[hour] = KEYS[BEFORE_FIRST + #numbers + hours]
  end
end
for row = 1, #rows, 3 do
  local place, field = tonumber(rows[row]), rows[row + 1]
  add(KEYS[BEFORE_FIRST + place], field, rows[row + 2])
  add(hour_keys[math.floor(numbers[place] / 60)], field, rows[row + 2])
  add(totals, field, rows[row + 2])
  local last = tonumber(redis.call('ZSCORE', totaled, field) or 0)
  redis.call('ZADD', totaled, text(math.max(last, numbers[place])), field)
end

for place, number in ipairs(numbers) do
  redis.call('ZADD', minutes, number, number)
  redis.call('PEXPIREAT', KEYS[BEFORE_FIRST + place], text((number + ARGV[2] + 1) * 60000))
end
for hour, key in pairs(hour_keys) do
  redis.call('PEXPIREAT', key, text((hour * 60 + 60 + ARGV[2]) * 60000))
end
local function older(key)
  local oldest = text(math.floor(micros() / 6e7) - ARGV[2])
  return redis.call('ZRANGEBYSCORE', key, '-inf', '(' .. oldest, 'LIMIT', 0, CHUNK)
end
send('ZREM', minutes, older(minutes))
local unused = older(totaled)
send('HDEL', totals, unused)
send('ZREM', totaled, unused)
