-- Shows jobs. Changes nothing.
--
-- Keys: see the first line.
-- Arguments: the ids, a line each; or nothing, and the maximum number of jobs whose leases have run out.
-- Returns the jobs (see `show`).
local jobs, states, held, extra, leases = unpack(KEYS)

local ids = ARGV[1] ~= '' and lines(ARGV[1])
  or redis.call('ZRANGEBYSCORE', leases, '-inf', text(micros()), 'LIMIT', 0, ARGV[2])
return show(ids, jobs, states, held, extra)
