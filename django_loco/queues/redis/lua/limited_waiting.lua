-- Counts the due limited jobs in the queues that are not paused.
--
-- Keys: see the first line.
-- Arguments: the queues and the tags, a line each, or '*' for all; the kinds, a digit each.
-- Returns two values for each line of jobs: its limit key, and the number of its jobs. A job with several of the tags counts
-- once for each.
local ready, tagged, deferred, paused_queues = unpack(KEYS)
turns_key, turn_key = KEYS[5], KEYS[6]

promote(deferred, ready, tagged, micros())
local found, tags = {}, words(ARGV[2])
local key = tags and #tags > 0 and tagged or ready
for kind in ARGV[3]:gmatch('%d') do
  each_line(ready, tagged, kind, words(ARGV[1]), tags, paused(paused_queues), function(line)
    local number = redis.call('ZLEXCOUNT', key, '[' .. line .. '\r', '(' .. line .. '\14')
    add(found, line:match('\v([^\t]*)'), number)
  end)
end
return found
