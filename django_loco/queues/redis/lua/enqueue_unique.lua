-- Stores one new job as `enqueue_one` does, with a unique key, unless another job holds this key (see `unique`). Running it
-- again with the same job changes nothing. `line_up_one` follows.
--
-- Keys: see the first line; the channels to announce the job in follow.
-- Arguments: the arguments of `enqueue_one`; its other fields; its unique key, and until when it holds it.
-- Returns 1 if another job holds the key.
local jobs, index, ready, counts, extra, unique = unpack(KEYS, 1, 6)
local id, job, place, field, others, key, until_then = unpack(ARGV)
local first_channel = 7

if redis.call('HGET', jobs, id) then
  return ''  -- An earlier try has stored it, and its reply did not arrive.
end
local owner, ends = (redis.call('HGET', unique, 'k' .. key) or ''):match('^(.*)\t(.*)$')
if owner then
  local time = redis.call('TIME')
  if not tonumber(ends) or tonumber(ends) > time[1] * 1000000 + time[2] then
    return 1
  end
  redis.call('HDEL', unique, 'j' .. owner)
end
redis.call('HSET', jobs, id, job)
redis.call('HSET', extra, id, others)
redis.call('HSET', unique, 'k' .. key, id .. '\t' .. until_then, 'j' .. id, key)
