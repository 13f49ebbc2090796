-- Returns the fields and values of the hashes of some minutes, a list for each.
--
-- Keys: `minutes`, which a cluster needs to find the server; the hashes.
local found = {}
for place = 2, #KEYS do
  found[place - 1] = redis.call('HGETALL', KEYS[place])
end
return found
