-- Makes the leases of held jobs valid for so long from now.
--
-- Keys: see the first line.
-- Arguments: microseconds; the jobs, two lines each: id and token.
-- Returns the ids of those that are not held under these tokens.
local held, leases = unpack(KEYS)

local payload, ids = lines(ARGV[2]), {}
for row = 1, #payload, 2 do
  ids[#ids + 1] = payload[row]
end

local holders, until_then = pick(held, ids), text(micros() + ARGV[1])
local renewed, refused = {}, {}
for number, id in ipairs(ids) do
  if holders[number] and holders[number]:match('^[^\t]*') == payload[2 * number] then
    add(renewed, until_then, id)
  else
    refused[#refused + 1] = id
  end
end
redis.call('ZREM', leases, '')  -- A server that is full lets a script go on that has begun with what frees memory.
send('ZADD', leases, renewed)
return table.concat(refused, '\n')
