-- Opens the keys of a limit that jobs have closed. The levels that are closed are looked at again.
--
-- Keys: see the first line.
-- Arguments: its name.
-- Returns how many keys were closed.
local turns, turn, closed, closings, closed_at = unpack(KEYS)
turns_key, turn_key = turns, turn

local opened = {}
for _, key in ipairs(redis.call('ZRANGEBYSCORE', closings, '(' .. text(micros()), '+inf')) do
  if key:match('^[^:]*') == ARGV[1] then
    opened[#opened + 1] = key
  end
end
send('ZREM', closings, opened)
send('ZREM', closed_at, opened)
local levels = redis.call('ZRANGE', closed, 0, -1)
send('ZREM', closed, levels)
queue_up(levels)
return #opened
