-- Unique keys (see core/uniqueness.py). The hash `unique` has two fields per job that holds a key:
--     k<key>  its id, a TAB, and until when it holds it: `finished`, `started`, or the time
--     j<id>   its key
-- So whatever a script does to a job, it finds its key, and frees it only if the job holds it.

-- Returns the id of the job that has a key, until when it has the key, and whether that time is over.
local function owner_of(unique, key, now)
  local id, until_then = (redis.call('HGET', unique, 'k' .. key) or ''):match('^(.*)\t(.*)$')
  local time = tonumber(until_then)
  return id, until_then, time ~= nil and time <= now
end

-- Returns whether another job than `id` holds a key. `wish` is the key, a TAB, and until when it is wanted.
local function is_taken(unique, wish, id, now)
  local owner, _, is_over = owner_of(unique, wish:match('^[^\t]*'), now)
  return owner ~= nil and owner ~= id and not is_over
end

-- Lets the job `id` hold a key that is free. If it holds another key, it gives that up.
local function hold_key(unique, wish, id, now)
  local key, until_then = wish:match('^(.*)\t(.*)$')
  local before = redis.call('HGET', unique, 'j' .. id)
  if before and before ~= key and owner_of(unique, before, now) == id then
    redis.call('HDEL', unique, 'k' .. before)
  end
  local owner = owner_of(unique, key, now)
  if owner then
    redis.call('HDEL', unique, 'j' .. owner)
  end
  redis.call('HSET', unique, 'k' .. key, id .. '\t' .. until_then, 'j' .. id, key)
end

-- Frees the keys of jobs that are held until one of `ends`, a set; without `ends`, all keys of these jobs.
local function free_keys(unique, ids, ends)
  if #ids == 0 or redis.call('EXISTS', unique) == 0 then
    return
  end
  local fields, gone = {}, {}
  for number, id in ipairs(ids) do
    fields[number] = 'j' .. id
  end
  for number, key in ipairs(pick(unique, fields)) do
    local id, until_then = owner_of(unique, key or '', 0)
    if id == ids[number] and (not ends or ends[until_then]) then
      add(gone, 'k' .. key, fields[number])
    end
  end
  send('HDEL', unique, gone)
end
