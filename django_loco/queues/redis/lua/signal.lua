-- Stores the signals of a job that runs, if they are as they were read. They follow the other fields in `extra`, with a tab
-- between.
--
-- Keys: see the first line.
-- Arguments: id, the signals as they were, the new ones; each may be nothing.
-- Returns 1 if the new ones are stored, or else 0. Running the script again returns the same.
local held, extra = unpack(KEYS)

if redis.call('HEXISTS', held, ARGV[1]) == 0 then
  return 0
end
local others, signals = (redis.call('HGET', extra, ARGV[1]) or ''):match('^([^\t]*)\t?(.*)$')
if signals == ARGV[3] then
  return 1
elseif signals ~= ARGV[2] then
  return 0
end
redis.call('HSET', extra, ARGV[1], others .. (ARGV[3] ~= '' and '\t' .. ARGV[3] or ''))
return 1
