-- Shows jobs. Changes nothing.
--
-- Keys: see the first line.
-- Arguments: the ids, a line each; or nothing, and a number: then those of so many jobs whose leases have run out.
-- Returns the jobs (see `show`).
local jobs, states, held, extra, leases = unpack(KEYS)

local ids
if ARGV[1] ~= '' then
  ids = lines(ARGV[1])
else
  ids = redis.call('ZRANGEBYSCORE', leases, '-inf', text(micros()), 'LIMIT', 0, ARGV[2])
end
return show(ids, jobs, states, held, extra)
