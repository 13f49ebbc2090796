-- Looks through jobs from the newest on. Changes nothing.
--
-- Keys: see the first line; the last is a sorted set of ids.
-- Arguments: the id before which to begin, or nothing; a status, or nothing for any; a text that the jobs to show have, or
-- nothing; how many jobs to show at most, and to look at; 'jobs', or 'calls' to show only the texts of jobs.
-- Returns the jobs (see `show`), or the id and the text of each; the id with which it stopped, or nothing if that was the
-- end.
local jobs, states, held, extra, index = unpack(KEYS)

local SOME, MOST_BYTES = 200, 4194304  -- texts may be large: they are read in small parts, until these are too many

local from = ARGV[1] == '' and '+' or '(' .. ARGV[1]
local status, needle, room, step, only_calls = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == 'calls'
local ids = redis.call('ZREVRANGEBYLEX', index, from, '-', 'LIMIT', 0, step)
local last = #ids == step and ids[#ids] or ''

-- Adds the jobs of the ids in `part` that match to `rows`, at most `most`. Returns how many it has added, how many bytes it
-- has read, and where it stopped if there was no room for more. Texts are read once. Texts of jobs with another status are
-- not read.
local function look_at(part, rows, most)
  local state, holder = pick(states, part), pick(held, part)
  local chosen, numbers, bytes = {}, {}, 0
  for number, id in ipairs(part) do
    local has = holder[number] and 'RUNNING' or state[number] and state[number]:match('^%["(%u+)"') or 'READY'
    bytes = bytes + #(state[number] or '')
    if (status == '' or status == has) and (needle ~= '' or #chosen < most) then
      chosen[#chosen + 1] = id
      numbers[#chosen] = number
    end
  end
  local stopped_at = needle == '' and #chosen == most and chosen[most]
  local number_of_rows = 0
  local others = only_calls and {} or pick(extra, chosen)
  for place, job in ipairs(pick(jobs, chosen)) do
    local id, number = chosen[place], numbers[place]
    bytes = bytes + #(job or '')
    local is_there = job or state[number] or holder[number]
    if number_of_rows < most and is_there and (needle == '' or not job or job:find(needle, 1, true)) then
      if only_calls then
        add(rows, id, flat(job))
      else
        add_row(rows, id, job, state[number], holder[number], others[place])
      end
      number_of_rows = number_of_rows + 1
      stopped_at = number_of_rows == most and id or stopped_at
    end
  end
  return number_of_rows, bytes, stopped_at
end

local rows, bytes = {}, 0
for first = 1, #ids, SOME do
  local part = { unpack(ids, first, math.min(first + SOME - 1, #ids)) }
  local number, more, stopped_at = look_at(part, rows, room)
  room, bytes = room - number, bytes + more
  if stopped_at then
    last = stopped_at
    break
  elseif bytes > MOST_BYTES and first + SOME <= #ids then
    last = part[#part]
    break
  end
end
return { table.concat(rows, '\n'), last }
