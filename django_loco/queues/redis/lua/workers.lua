-- Returns three values per worker: its id, the microseconds since its last heartbeat, and its description.
--
-- Keys: see the first line.
local workers = KEYS[1]

local now, found = micros(), {}
local stored = redis.call('HGETALL', workers)
for number = 1, #stored, 2 do
  local at, info = stored[number + 1]:match('^(%d+)\t(.*)$')
  found[#found + 1] = stored[number]
  found[#found + 1] = text(now - (tonumber(at) or 0))
  found[#found + 1] = info or ''
end
return found
