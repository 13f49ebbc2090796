-- Stores how far the run of a held job has come: behind the job's state, with a tab between.
--
-- Keys: see the first line.
-- Arguments: id, token, checkpoint.
-- Returns 1 if the job is held under the token, or else 0.
local states, held = unpack(KEYS)

local holder = redis.call('HGET', held, ARGV[1])
if not holder or holder:find(ARGV[2] .. '\t', 1, true) ~= 1 then
  return 0
end
local state = redis.call('HGET', states, ARGV[1]) or ''
redis.call('HSET', states, ARGV[1], state:match('^[^\t]*') .. '\t' .. ARGV[3])
return 1
