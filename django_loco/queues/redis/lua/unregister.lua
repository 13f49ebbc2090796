-- Deletes a worker, and the command for it; returns whether it was registered.
--
-- Keys: see the first line.
-- Arguments: the worker's id.
local workers, commands = KEYS[1], KEYS[2]

redis.call('HDEL', commands, ARGV[1])
return redis.call('HDEL', workers, ARGV[1])
