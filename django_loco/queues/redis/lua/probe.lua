-- Tries commands on keys of its own, and leaves nothing behind.
--
-- Keys: see the first line; a hash, a sorted set and a text that nothing else uses.
-- Arguments: the commands, a line each, with tabs between their words. A word such as `*1` stands for the first key.
-- Returns the names of the commands that the server's ACL refuses; and the first error of a server that does not write, or
-- nothing.
local refused, failure = {}, ''
for _, line in ipairs(lines(ARGV[1])) do
  local words = {}
  for word in line:gmatch('[^\t]+') do
    local key = word:match('^%*(%d)$')
    words[#words + 1] = key and KEYS[tonumber(key)] or word
  end
  local answer = redis.pcall(unpack(words))
  local said = type(answer) == 'table' and answer.err or ''
  if said:find('this command', 1, true) or said:find('o permissions', 1, true) then
    refused[#refused + 1] = words[1]
  elseif failure == '' and not said:find('WRONGTYPE', 1, true) then  -- of a key that the last probe has left
    failure = said
  end
end
return { table.concat(refused, '\n'), failure }
