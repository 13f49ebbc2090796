-- Returns when the job that has been due longest became due.
--
-- Keys: see the first line.
-- Arguments: the queues, a line each, or '*' for all; the kinds, a digit each.
-- Returns the time, or nothing if no job is due.
local ready, tagged, deferred = unpack(KEYS)
turns_key, turn_key = KEYS[4], KEYS[5]

promote(deferred, ready, tagged, micros())
local oldest = nil
for kind in ARGV[2]:gmatch('%d') do
  each_line(ready, tagged, kind, words(ARGV[1]), nil, {}, function(line, place)
    -- The first of each priority is the oldest of it.
    while place do
      local priority, due = place:sub(#line + 2, #line + 4), place:sub(#line + 5, #line + 20)
      oldest = (not oldest or due < oldest) and due or oldest
      local from, to = '(' .. line .. '\r' .. priority .. '\255', '(' .. line .. '\14'
      place = redis.call('ZRANGEBYLEX', ready, from, to, 'LIMIT', 0, 1)[1]
    end
  end)
end
return oldest or ''
