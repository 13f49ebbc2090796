-- Records that a worker lives.
--
-- Keys: see the first line.
-- Arguments: the worker's id; its description, JSON.
local workers = KEYS[1]

redis.call('HDEL', workers, '')  -- as in `renew`
redis.call('HSET', workers, ARGV[1], text(micros()) .. '\t' .. ARGV[2])
