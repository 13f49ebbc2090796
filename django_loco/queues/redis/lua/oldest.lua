-- Returns when the job that has been due longest became due.
--
-- Keys: see the first line.
-- Arguments: the queues, a line each, or '*' for all.
-- Returns the time, or nothing if no job is due.
local ready, tagged, deferred = unpack(KEYS)
turns_key, turn_key = KEYS[4], KEYS[5]

promote(deferred, ready, tagged, micros())
local oldest = nil
for kind = 0, 3 do
  each_line(ready, tagged, kind, words(ARGV[1]), nil, {}, function(line)
    -- The first of each priority is the oldest of it.
    local from, to = '[' .. line .. '\r', '(' .. line .. '\14'
    while true do
      local place = redis.call('ZRANGEBYLEX', ready, from, to, 'LIMIT', 0, 1)[1]
      if not place then
        return
      end
      local priority, due = place:sub(#line + 2, #line + 4), place:sub(#line + 5, #line + 20)
      oldest = (not oldest or due < oldest) and due or oldest
      from = '(' .. line .. '\r' .. priority .. '\255'
    end
  end)
end
return oldest or ''
