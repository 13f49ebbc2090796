-- Shows the newest jobs of a series. Changes nothing.
--
-- Jobs that have succeeded are shown without their return values, which may be large. They are found in `finished`, by
-- members that end in "<id> TAB <queue> TAB SUCCESSFUL TAB <series>".
--
-- Keys: see the first line.
-- Arguments: the prefix of the entries of the series, and a TAB; how many jobs to show at most.
-- Returns the jobs (see `show`), without checkpoints and other fields.
local jobs, states, held, finished, counts, series = unpack(KEYS)

local ids = {}
for _, entry in ipairs(redis.call('ZREVRANGEBYLEX', series, '(' .. ARGV[1] .. '\255', '[' .. ARGV[1], 'LIMIT', 0, ARGV[2])) do
  ids[#ids + 1] = entry:sub(#ARGV[1] + 1)
end

local function decoded(json)
  local is_json, value = pcall(cjson.decode, json or '')
  return is_json and type(value) == 'table' and value or {}
end

-- The JSON strings of the names of queues, because decoding a job loses how the name was written.
local words_of = {}
for _, field in ipairs(redis.call('HKEYS', counts)) do
  local word = field:match('^[^\t]*')
  local name = decoded('[' .. word .. ']')[1]
  if name then
    words_of[name] = word
  end
end

local rows = {}
local holders = pick(held, ids)
for number, job in ipairs(pick(jobs, ids)) do
  local id, values, state = ids[number], decoded(job), nil
  local word = words_of[values[3] or '']
  local at = word and redis.call('ZSCORE', finished, id .. '\t' .. word .. '\tSUCCESSFUL\t' .. ARGV[1]:sub(1, -2))
  if at then
    local after = type(values[6]) == 'number' and text(values[6]) or 'null'
    state = '["SUCCESSFUL",' .. after .. ',null,null,' .. text(at) .. ',[],[],0,null,null]'
  else
    state = redis.call('HGET', states, id)
  end
  if job or state or holders[number] then
    add_row(rows, id, job, state and state:match('^[^\t]*'), holders[number], '')
  end
end
return table.concat(rows, '\n')
