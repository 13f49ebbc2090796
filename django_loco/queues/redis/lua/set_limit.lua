-- Changes a limit. The levels that are closed are looked at again.
--
-- Keys: see the first line.
-- Arguments: its name; its numbers and its JSON (see `limits_of`), or nothing to reset it to its declaration.
local turns, turn, closed, changed_limits = unpack(KEYS)
turns_key, turn_key = turns, turn

if ARGV[2] == '' then
  redis.call('HDEL', changed_limits, ARGV[1])
else
  redis.call('HSET', changed_limits, ARGV[1], ARGV[2])
end
local levels = redis.call('ZRANGE', closed, 0, -1)
send('ZREM', closed, levels)
queue_up(levels)
