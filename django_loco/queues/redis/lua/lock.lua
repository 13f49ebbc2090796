-- Reads the text of a lock, or replaces it. `locks.state` makes the text, and Lua does not read it.
--
-- Keys: see the first line; the key of the lock; the channel of the process that is to look at it next, if any.
-- Arguments: none to read it. To replace it: the text before, empty if there is none; the text after; in how many
-- milliseconds it may be deleted; the lock's name; the end of its holder's lease, in microseconds, or 0.
-- Returns the text and the time; or 1 if it was replaced, and 0 if the text was not the one before.
local held, key = KEYS[1], KEYS[2]

local now = redis.call('GET', key)
if #ARGV == 0 then
  return { now, text(micros()) }
end
if (now or '') ~= ARGV[1] then
  return 0
end
redis.call('ZREMRANGEBYSCORE', held, '-inf', text(micros()))  -- leases that have run out
redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
if ARGV[5] == '0' then
  redis.call('ZREM', held, ARGV[4])
else
  redis.call('ZADD', held, ARGV[5], ARGV[4])
end
announce(3, 1)
return 1
