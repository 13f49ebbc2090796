-- Looks for the entries of jobs (see `change`) in a part of a key. Changes nothing.
--
-- Keys: a sorted set of entries.
-- Arguments: where to go on (see `ZSCAN`), or 0; how many entries to look at, about; the ids, a line each.
-- Returns where to go on, or 0 if that was all; and the entries found, a line each.
local wanted = {}
for _, id in ipairs(lines(ARGV[3])) do
  wanted[id] = true
end

local found = {}
local next_cursor, entries = unpack(redis.call('ZSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2]))
for number = 1, #entries, 2 do
  local entry = entries[number]
  if wanted[entry:match('\r' .. ('.'):rep(19) .. '([^\t]*)') or entry:match('^[^\t]*')] then
    found[#found + 1] = entry
  end
end
return { next_cursor, table.concat(found, '\n') }
