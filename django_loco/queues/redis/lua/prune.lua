-- Deletes jobs that ended long ago, and those that are too many, the oldest first; and forgets old once-keys.
--
-- `finished` has the jobs by when they have ended, `kept` those with a retention by until when they are kept.
--
-- Keys: see the first line.
-- Arguments: for how many microseconds to keep jobs, and once-keys; how many jobs to keep at most, and to delete now.
-- Returns how many were deleted.
local jobs, states, index, finished, failed, once, counts, series, extra, logs, unique, batches, batch_states, open =
  unpack(KEYS, 1, 14)
local tats, closings, kept, closed_at = unpack(KEYS, 15, 18)
local now = micros()
local MINUTE = 60000000

-- Returns whether the jobs of a batch that goes on have to stay: those of a workflow, because others may need their
-- results, and those with a retention, because it may not be known yet how they have ended.
local function keeps_jobs(batch, key)
  local state = redis.call('HGET', batch_states, batch)
  local is_workflow = (redis.call('HGET', batches, batch) or ''):find('"workflow"]', 1, true)
  return state and (is_workflow or key == kept) and fields(state)[CALLED] == '' or false
end

-- Returns those of the first `number` entries of `key` whose jobs may be deleted. The others move away from the front.
local function deletable(key, number)
  if number <= 0 then
    return {}
  end
  local entries = redis.call('ZRANGE', key, 0, number - 1)
  if redis.call('EXISTS', open) == 0 then
    return entries
  end
  local ids, found, stay, is_kept = {}, {}, {}, {}
  for place, entry in ipairs(entries) do
    ids[place] = entry:match('^[^\t]*')
  end
  for place, others in ipairs(pick(extra, ids)) do
    local batch = others and others:match('"batch":%s*"([^"\\]*)"') or ''
    if batch ~= '' and is_kept[batch] == nil then
      is_kept[batch] = keeps_jobs(batch, key)
    end
    if is_kept[batch] then
      add(stay, text(key == kept and now + MINUTE or now), entries[place])
    else
      found[#found + 1] = entries[place]
    end
  end
  send('ZADD', key, stay)
  return found
end

local function before(age)
  return '(' .. text(now - age)
end

-- If there are too many jobs, those without a retention go first.
local without, limit = redis.call('ZCARD', finished), tonumber(ARGV[4])
local many = without + redis.call('ZCARD', kept) - ARGV[3]
local over = redis.call('ZCOUNT', kept, '-inf', before(0))
local old = math.max(redis.call('ZCOUNT', finished, '-inf', before(ARGV[1])), math.min(many - over, without))
old = math.min(old, limit)
over = math.min(math.max(over, many - old), limit - old)

local old_ones, kept_ones = deletable(finished, old), deletable(kept, over)
local ids, of_series, gone = {}, {}, {}
local function delete(member)
  local id, kind, name = member:match('^([^\t]*)\t([^\t]*\t[^\t]*)\t?(.*)')
  ids[#ids + 1] = id
  if name ~= '' then
    of_series[#of_series + 1] = name .. '\t' .. id
  end
  gone[kind] = (gone[kind] or 0) + 1
end
for _, members in ipairs({ old_ones, kept_ones }) do
  for _, member in ipairs(members) do
    delete(member)
  end
end
free_keys(unique, ids)
send('ZREM', finished, old_ones)
send('ZREM', kept, kept_ones)
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
local over_keys = redis.call('ZRANGEBYSCORE', closings, '-inf', before(1000000))
send('ZREM', closings, over_keys)
send('ZREM', closed_at, over_keys)
local forgotten = redis.call('ZRANGEBYSCORE', once, '-inf', before(ARGV[2]), 'LIMIT', 0, 1000)
send('ZREM', once, forgotten)
return #ids
