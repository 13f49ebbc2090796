-- Looks through jobs from the newest on. Changes nothing.
--
-- Keys: see the first line; the last is a sorted set of ids.
-- Arguments: the id before which to begin, or nothing; a status, or nothing for any; a text that the jobs to show have, or
-- nothing; how many jobs to show at most, and to look at.
-- Returns the jobs (see `show`); the id with which it stopped, or nothing if that was the end.
local jobs, states, held, extra, index = unpack(KEYS)

local SOME, MOST_BYTES = 200, 4194304  -- texts may be large: they are read in small parts, until these are too many

local from = ARGV[1] == '' and '+' or '(' .. ARGV[1]
local status, needle, room, step = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local ids = redis.call('ZREVRANGEBYLEX', index, from, '-', 'LIMIT', 0, step)
local last = #ids == step and ids[#ids] or ''

-- Returns the numbers of those of `part` that have the status, and how many bytes were read for that.
local function with_status(part)
  local chosen, bytes = {}, 0
  local state, holder = pick(states, part), pick(held, part)
  for number in ipairs(part) do
    local has = holder[number] and 'RUNNING' or state[number] and state[number]:match('^%["(%u+)"') or 'READY'
    bytes = bytes + #(state[number] or '')
    if status == '' or status == has then
      chosen[#chosen + 1] = number
    end
  end
  return chosen, bytes
end

-- Returns those of the numbers of `part` whose jobs have the text, and how many bytes were read for that.
local function with_needle(part, numbers)
  local wanted, chosen, bytes = {}, {}, 0
  for place, number in ipairs(numbers) do
    wanted[place] = part[number]
  end
  for place, job in ipairs(pick(jobs, wanted)) do
    bytes = bytes + #(job or '')
    if not job or job:find(needle, 1, true) then
      chosen[#chosen + 1] = numbers[place]
    end
  end
  return chosen, bytes
end

local found, bytes = {}, 0
for first = 1, #ids, SOME do
  local part = { unpack(ids, first, math.min(first + SOME - 1, #ids)) }
  local chosen, more = with_status(part)
  bytes = bytes + more
  if needle ~= '' then
    chosen, more = with_needle(part, chosen)
    bytes = bytes + more
  end
  for _, number in ipairs(chosen) do
    found[#found + 1] = part[number]
    if #found == room then
      return { show(found, jobs, states, held, extra), part[number] }
    end
  end
  if bytes > MOST_BYTES and first + SOME <= #ids then
    last = part[#part]
    break
  end
end
return { show(found, jobs, states, held, extra), last }
