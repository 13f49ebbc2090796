-- Deletes jobs that ended long ago, and those that are too many, the oldest first; and forgets old once-keys.
--
-- Keys: see the first line.
-- Arguments: for how many microseconds to keep jobs, and once-keys; how many jobs to keep at most, and to delete now.
-- Returns how many were deleted.
local jobs, states, index, finished, failed, once, counts, series, extra, logs, unique, batches, batch_states, open =
  unpack(KEYS, 1, 14)
local tats, closings = KEYS[15], KEYS[16]
local now = micros()

-- Returns those of the first `number` entries of `finished` whose jobs may be deleted. The nodes of a workflow that goes on
-- move to the end, because others may need their results.
local function deletable(number)
  local entries = redis.call('ZRANGE', finished, 0, number - 1)
  if redis.call('EXISTS', open) == 0 then
    return entries
  end
  local ids, found, kept, is_kept = {}, {}, {}, {}
  for place, entry in ipairs(entries) do
    ids[place] = entry:match('^[^\t]*')
  end
  for place, others in ipairs(pick(extra, ids)) do
    local batch = others and others:match('"batch":%s*"([^"\\]*)"') or ''
    if batch ~= '' and is_kept[batch] == nil then
      local state = redis.call('HGET', batch_states, batch)
      local is_workflow = (redis.call('HGET', batches, batch) or ''):find('"workflow"]', 1, true)
      is_kept[batch] = state and is_workflow and fields(state)[CALLED] == '' or false
    end
    if is_kept[batch] then
      add(kept, text(now), entries[place])
    else
      found[#found + 1] = entries[place]
    end
  end
  send('ZADD', finished, kept)
  return found
end

local function before(age)
  return '(' .. text(now - age)
end

local old = redis.call('ZCOUNT', finished, '-inf', before(ARGV[1]))
local many = redis.call('ZCARD', finished) - ARGV[3]
local number = math.min(math.max(old, many), tonumber(ARGV[4]))

local ids, members, of_series, gone = {}, {}, {}, {}
if number > 0 then
  members = deletable(number)
end
for _, member in ipairs(members) do
  local id, kind, name = member:match('^([^\t]*)\t([^\t]*\t[^\t]*)\t?(.*)')
  ids[#ids + 1] = id
  if name ~= '' then
    of_series[#of_series + 1] = name .. '\t' .. id
  end
  gone[kind] = (gone[kind] or 0) + 1
end
free_keys(unique, ids)
send('ZREM', finished, members)
send('HDEL', jobs, ids)
send('HDEL', states, ids)
send('HDEL', extra, ids)
send('HDEL', logs, ids)
send('ZREM', index, ids)
send('ZREM', failed, ids)
send('ZREM', series, of_series)
for kind, deleted in pairs(gone) do
  local queue, status = kind:match('^(.*)\t(.*)$')
  count(counts, queue, status, -deleted)
end

redis.call('ZREMRANGEBYSCORE', tats, '-inf', before(1000000))
redis.call('ZREMRANGEBYSCORE', closings, '-inf', before(1000000))
local forgotten = redis.call('ZRANGEBYSCORE', once, '-inf', before(ARGV[2]), 'LIMIT', 0, 1000)
send('ZREM', once, forgotten)
return #ids
