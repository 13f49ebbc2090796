-- Deletes jobs that ended long ago, and those that are too many, the oldest first; and forgets old once-keys.
--
-- Keys: see the first line.
-- Arguments: for how many microseconds to keep jobs, and once-keys; how many jobs to keep at most, and to delete now.
-- Returns how many were deleted.
local jobs, states, index, finished, failed, once, counts, series, extra, logs, unique = unpack(KEYS, 1, 11)
local now = micros()

local function before(age)
  return '(' .. text(now - age)
end

local old = redis.call('ZCOUNT', finished, '-inf', before(ARGV[1]))
local many = redis.call('ZCARD', finished) - ARGV[3]
local number = math.min(math.max(old, many), tonumber(ARGV[4]))

local ids, members, of_series, gone = {}, {}, {}, {}
if number > 0 then
  members = redis.call('ZRANGE', finished, 0, number - 1)
end
for _, member in ipairs(members) do
  local id, kind, name = member:match('^([^\t]*)\t([^\t]*\t[^\t]*)\t?(.*)')
  ids[#ids + 1] = id
  if name ~= '' then
    of_series[#of_series + 1] = name .. '\t' .. id
  end
  gone[kind] = (gone[kind] or 0) + 1
end
free_keys(unique, ids)
send('ZREM', finished, members)
send('HDEL', jobs, ids)
send('HDEL', states, ids)
send('HDEL', extra, ids)
send('HDEL', logs, ids)
send('ZREM', index, ids)
send('ZREM', failed, ids)
send('ZREM', series, of_series)
for kind, deleted in pairs(gone) do
  local queue, status = kind:match('^(.*)\t(.*)$')
  count(counts, queue, status, -deleted)
end

local forgotten = redis.call('ZRANGEBYSCORE', once, '-inf', before(ARGV[2]), 'LIMIT', 0, 1000)
send('ZREM', once, forgotten)
return #ids
