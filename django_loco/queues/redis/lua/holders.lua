-- Shows the jobs that hold unique keys. Changes nothing.
--
-- Keys: see the first line.
-- Arguments: the keys, a line each.
-- Returns the jobs (see `show`).
local unique, jobs, states, held, extra = unpack(KEYS)

local now, ids = micros(), {}
for _, key in ipairs(lines(ARGV[1])) do
  local id, _, is_over = owner_of(unique, key, now)
  if id and not is_over then
    ids[#ids + 1] = id
  end
end
return show(ids, jobs, states, held, extra)
