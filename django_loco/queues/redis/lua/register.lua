-- Notes that a worker lives.
--
-- Keys: see the first line.
-- Arguments: the worker's id; what it says of itself, JSON.
local workers = KEYS[1]

redis.call('HSET', workers, ARGV[1], text(micros()) .. '\t' .. ARGV[2])
