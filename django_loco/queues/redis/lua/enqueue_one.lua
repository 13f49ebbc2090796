-- Stores one new job that is due at once and has neither tags nor a once-key: what `enqueue` does, with fewer commands.
-- Running it again with the same job changes nothing. `common` is not in front of this script: most of it is not needed,
-- and defining its functions at each call would take as long as a command. `line_up_one` follows.
--
-- Keys: see the first line; the channels to announce the job in follow.
-- Arguments: id, the job, its place, and the field of `counts` for its queue.
local jobs, index, ready, counts = unpack(KEYS, 1, 4)
local id, job, place, field = unpack(ARGV)
local first_channel = 5

if redis.call('HSET', jobs, id, job) == 0 then
  return ''  -- An earlier try has stored it, and its reply did not arrive.
end
