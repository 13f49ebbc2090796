-- Leaves a command for a worker; returns whether it is registered.
--
-- Keys: see the first line.
-- Arguments: the worker's id; the command.
local workers, commands = KEYS[1], KEYS[2]

if not redis.call('HGET', workers, ARGV[1]) then
  return 0
end
redis.call('HDEL', commands, '')  -- as in `renew`
redis.call('HSET', commands, ARGV[1], ARGV[2])
return 1
