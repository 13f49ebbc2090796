-- Deletes jobs that ended long ago, and more of the oldest jobs if there are too many. Deletes old once-keys, too.
--
-- `finished` has jobs by the time of their end, `kept` has jobs with a retention by the time until which they are kept.
--
-- Keys: see the first line.
-- Arguments: for how many microseconds to keep jobs, and once-keys; how many jobs to keep at most, and to delete now.
-- Returns how many were deleted.
local jobs, states, index, finished, failed, once, counts, series, extra, logs, unique, batches, batch_states, open =
  unpack(KEYS, 1, 14)
local tats, closings, kept, closed_at = unpack(KEYS, 15, 18)
local now = micros()
local MINUTE = 60000000

-- Returns which jobs of a batch have to stay while it goes on, or while one of its callbacks has not ended. All: jobs of a
-- workflow, because others may need their results, and jobs with a retention, because it may not be known yet how they have
-- ended. Else failed jobs, because somebody may retry them, as long as there are not too many jobs.
local function stays_of(batch, key)
  local state = redis.call('HGET', batch_states, batch)
  local found = state and fields(state)
  if not found or found[CALLED] ~= '' and not is_followed(once, batch, found[ROUND]) then
    return 'none'
  end
  local is_workflow = (redis.call('HGET', batches, batch) or ''):find('"workflow"]', 1, true)
  return (is_workflow or key == kept) and 'all' or 'failed'
end

-- Returns the ones of the first `number` entries of `key` whose jobs may be deleted. The others move away from the front.
local function deletable(key, number, are_too_many)
  if number <= 0 then
    return {}
  end
  local entries = redis.call('ZRANGE', key, 0, number - 1)
  if redis.call('EXISTS', batch_states) == 0 then
    return entries
  end
  local ids, found, stay, stays = {}, {}, {}, {}
  for place, entry in ipairs(entries) do
    ids[place] = entry:match('^[^\t]*')
  end
  for place, others in ipairs(pick(extra, ids)) do
    local batch = others and others:match('"batch":%s*"([^"\\]*)"') or ''
    if batch ~= '' and stays[batch] == nil then
      stays[batch] = stays_of(batch, key)
    end
    local has_failed = entries[place]:find('^[^\t]*\t[^\t]*\tFAILED')
    if stays[batch] == 'all' or stays[batch] == 'failed' and has_failed and not are_too_many then
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

local old_ones, kept_ones = deletable(finished, old, many > 0), deletable(kept, over, many > 0)
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
