-- The end of the scripts that store one job: lines it up, counts it, and announces it.
redis.call('ZADD', index, 0, id)
redis.call('ZADD', ready, 0, place)
if redis.call('HINCRBY', counts, field, 1) == 0 then
  redis.call('HDEL', counts, field)
end
-- A channel that exists has a mark, so no worker waits for it. See `announce`.
if redis.call('EXISTS', unpack(KEYS, first_channel)) < #KEYS - first_channel + 1 then
  for channel = first_channel, #KEYS do
    if redis.call('ZADD', KEYS[channel], 0, 1) > 0 then
      redis.call('PEXPIRE', KEYS[channel], 10000)
    end
  end
end
return ''
