-- Shows the newest waiting jobs, or the newest jobs that have ended, if there are few. Changes nothing.
--
-- Keys: see the first line.
-- Arguments: the status; a queue, or nothing for all; the id before which to begin, or nothing; how many jobs to show at
-- most; how many jobs are few.
-- Returns the jobs (see `show`), or nothing if they are not few.
local jobs, states, held, extra, ready, deferred, finished, kept = unpack(KEYS)
local status, queue, before, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local parts = status == 'READY' and { ready, deferred } or { finished, kept }
local number = 0
for _, key in ipairs(parts) do
  number = number + redis.call('ZCARD', key)
end
if number > tonumber(ARGV[5]) then
  return nil
end

local ids = {}
local function see(id, its_queue, its_status)
  if id and its_status == status and (queue == '' or its_queue == queue) and (before == '' or id < before) then
    ids[#ids + 1] = id
  end
end

for _, key in ipairs(parts) do
  for _, entry in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    if status ~= 'READY' then
      see(entry:match('^([^\t]*)\t([^\t]*)\t([^\t]*)'))
    else
      see(entry:match('\r' .. ('.'):rep(19) .. '([^\t]*)'), queue_of(entry), 'READY')
    end
  end
end
table.sort(ids, function(one, other) return one > other end)
for place = #ids, limit + 1, -1 do
  ids[place] = nil
end
return show(ids, jobs, states, held, extra)
