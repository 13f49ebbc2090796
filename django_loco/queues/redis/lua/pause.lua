-- Pauses a task or a tag, or ends the pause. Running it again goes on where the last call has stopped.
--
-- Keys: see the first line.
-- Arguments: "task" or "tag", a TAB and a name (a JSON string); a new shelf, or nothing to end the pause.
-- Returns 1 if there was a pause before, else 0; and how many jobs were moved. If there were any, there may be more.
local keys = { jobs = KEYS[1], ready = KEYS[2], tagged = KEYS[3], deferred = KEYS[4], pauses = KEYS[5] }
turns_key, turn_key = KEYS[6], KEYS[7]
local shelf = redis.call('HGET', keys.pauses, ARGV[1])

if ARGV[2] ~= '' then
  if not shelf then
    redis.call('HSET', keys.pauses, ARGV[1], ARGV[2])
  end
  promote(keys.deferred, keys.ready, keys.tagged, micros())
  local moved = 0
  for kind = 0, 3 do
    local _, more = best_free(keys, tostring(kind), MOST_MOVED, { paused = {} }, shelves_of(keys))
    moved = moved + more
  end
  return { shelf and 1 or 0, moved }
end

if shelf then
  redis.call('HDEL', keys.pauses, ARGV[1])
  redis.call('HSET', keys.pauses, 'over\t' .. shelf, '')
end
local moved, fields = 0, redis.call('HKEYS', keys.pauses)
for _, field in ipairs(fields) do
  local over = field:match('^over\t(.*)')
  moved = moved + (over and let_go(keys, over, MOST_MOVED) or 0)
end
return { shelf and 1 or 0, moved }
