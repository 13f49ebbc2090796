-- Renews the leases of held jobs.
--
-- Keys: see the first line.
-- Arguments: microseconds; the jobs, two lines each: id and token.
-- Returns the ids of the jobs that are not held with these tokens.
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
redis.call('ZREM', leases, '')  -- A full server lets a script continue that begins with a command that frees memory.
send('ZADD', leases, renewed)
return table.concat(refused, '\n')
