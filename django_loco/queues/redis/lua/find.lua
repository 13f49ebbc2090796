-- Looks through jobs from the newest on. Changes nothing.
--
-- Keys: see the first line; the last is a sorted set of ids.
-- Arguments: the id before which to begin, or nothing; a status, or nothing for any; how many jobs to show at most, and
-- to look at.
-- Returns the jobs (see `show`); the id with which it stopped, or nothing if that was the end.
local jobs, states, held, extra, index = unpack(KEYS)

local from = ARGV[1] == '' and '+' or '(' .. ARGV[1]
local ids = redis.call('ZREVRANGEBYLEX', index, from, '-', 'LIMIT', 0, ARGV[4])
local last = #ids == tonumber(ARGV[4]) and ids[#ids] or ''

local found = {}
local state, holder = pick(states, ids), pick(held, ids)
for number, id in ipairs(ids) do
  local status = holder[number] and 'RUNNING' or state[number] and state[number]:match('^%["(%u+)"') or 'READY'
  if ARGV[2] == '' or ARGV[2] == status then
    found[#found + 1] = id
  end
  if #found == tonumber(ARGV[3]) then
    last = id
    break
  end
end
return { show(found, jobs, states, held, extra), last }
