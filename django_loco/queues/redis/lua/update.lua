-- Stores a field of a held job that its run has changed.
--
-- Keys: see the first line.
-- Arguments: id, token, `states` or `extra`, the new text. In `states` this is the checkpoint, which stands behind the state
-- with a tab between; in `extra` all fields that are there, except the signals, which stay behind a tab (`signal.lua`).
-- Returns 1 if the job is held under the token, or else 0.
local states, held, extra = unpack(KEYS)

local holder = redis.call('HGET', held, ARGV[1])
if not holder or holder:find(ARGV[2] .. '\t', 1, true) ~= 1 then
  return 0
end
if ARGV[3] == 'extra' then
  local signals = (redis.call('HGET', extra, ARGV[1]) or ''):match('\t.*') or ''
  redis.call('HSET', extra, ARGV[1], ARGV[4] .. signals)
else
  local state = redis.call('HGET', states, ARGV[1]) or ''
  redis.call('HSET', states, ARGV[1], state:match('^[^\t]*') .. '\t' .. ARGV[4])
end
return 1
