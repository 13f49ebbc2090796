-- Stores one new job that is due at once and has neither tags nor a once-key: what `enqueue` does, with fewer commands.
-- Running it again with the same job changes nothing. `common` is not in front of this script: most of it is not needed,
-- and defining its functions at each call would take as long as a command.
--
-- Keys: see the first line; the channels to announce the job in follow.
-- Arguments: id, the job, its place, and the field of `counts` for its queue.
local jobs, index, ready, counts = unpack(KEYS, 1, 4)
local id, job, place, field = unpack(ARGV)

if redis.call('HSET', jobs, id, job) == 0 then
  return ''  -- An earlier try has stored it, and its reply did not arrive.
end
redis.call('ZADD', index, 0, id)
redis.call('ZADD', ready, 0, place)
if redis.call('HINCRBY', counts, field, 1) == 0 then
  redis.call('HDEL', counts, field)
end
-- A channel that exists has a mark, so no worker waits for it. See `announce`.
if redis.call('EXISTS', unpack(KEYS, 5)) < #KEYS - 4 then
  for channel = 5, #KEYS do
    if redis.call('ZADD', KEYS[channel], 0, 1) > 0 then
      redis.call('PEXPIRE', KEYS[channel], 10000)
    end
  end
end
return ''
