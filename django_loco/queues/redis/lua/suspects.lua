-- Counts the due suspects in the queues that are not paused. Limited suspects count only if they may begin now.
--
-- Keys: see the first line.
-- Arguments: the queues and the tags, a line each, or '*' for all; the kinds of plain suspects, a digit each; the limits (see
-- `limits_of`).
-- Returns how many there are. A suspect with several of the tags counts once for each.
local ready, tagged, deferred, paused_queues = unpack(KEYS)
turns_key, turn_key = KEYS[5], KEYS[6]

local now = micros()
promote(deferred, ready, tagged, now)
local number, tags = 0, words(ARGV[2])
local key = tags and #tags > 0 and tagged or ready
local limiter = nil

local function may_begin(limit_key)
  if limit_key and not limiter then
    local keys = { limited = KEYS[7], tats = KEYS[8], closings = KEYS[9], closed_at = KEYS[11] }
    limiter = limiter_of(keys, limits_of(ARGV[4], KEYS[10]), now)
  end
  return not limit_key or limiter.has_room(limit_key)
end

for kind in ARGV[3]:gmatch('%d') do
  for _, of_kind in ipairs({ kind, text(kind + 4) }) do
    each_line(ready, tagged, of_kind, words(ARGV[1]), tags, paused(paused_queues), function(line)
      if may_begin(line:match('\v([^\t]*)')) then
        number = number + redis.call('ZLEXCOUNT', key, '[' .. line .. '\r', '(' .. line .. '\14')
      end
    end)
  end
end
return number
