-- Shows the newest jobs of a series. Changes nothing.
--
-- Keys: see the first line.
-- Arguments: what the entries of the series begin with, and a TAB; how many jobs to show at most.
-- Returns the jobs (see `show`).
local jobs, states, held, series = unpack(KEYS)

local ids = {}
for _, entry in ipairs(redis.call('ZREVRANGEBYLEX', series, '(' .. ARGV[1] .. '\255', '[' .. ARGV[1], 'LIMIT', 0, ARGV[2])) do
  ids[#ids + 1] = entry:sub(#ARGV[1] + 1)
end
return show(ids, jobs, states, held)
