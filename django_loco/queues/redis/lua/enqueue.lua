-- Stores new jobs, all or none. Running it again with the same jobs changes nothing.
--
-- Keys: see the first line; the channels to announce jobs in follow.
-- Arguments: how many marks to leave in the channels; the jobs, seven lines each: id, the job, its state or nothing,
-- its place, the time before which it may not run or nothing, its once-key or nothing, its other fields or nothing; for
-- some of them the unique key that each wants to hold, two lines each: id, and the key, a TAB, and until when; the members
-- of batches among them, two lines each: id and batch.
-- Returns the ids of the jobs that were not stored because their once-key is known or their unique key is held, or "batch"
-- and an id if that batch takes no more jobs: then nothing is stored. A job whose id exists counts as stored: the reply to
-- the same arguments did not arrive, and they were sent again.
local jobs, states, index, ready, tagged, deferred, once, counts, series, extra, unique, batch_states, members =
  unpack(KEYS, 1, 13)
turns_key, turn_key = KEYS[14], KEYS[15]

local wishes = pairs_of(ARGV[3])
local payload, ids = lines(ARGV[2]), {}
for row = 1, #payload, 7 do
  ids[#ids + 1] = payload[row]
end

local known, now = pick(jobs, ids), micros()
local batch_of = pairs_of(ARGV[4])
for number, id in ipairs(ids) do
  if not known[number] and batch_of[id] and not takes_jobs(redis.call('HGET', batch_states, batch_of[id])) then
    return 'batch ' .. batch_of[id]
  end
end
local stored = {jobs = {}, states = {}, index = {}, series = {}, extra = {}}
local due, later, refused, arrived = {}, {}, {}, {}
for number, id in ipairs(ids) do
  local _, job, state, place, after, key, others = unpack(payload, 7 * number - 6, 7 * number)
  if known[number] then
    -- An earlier try has stored it.
  elseif wishes[id] and is_taken(unique, wishes[id], id, now)
    or key ~= '' and redis.call('ZADD', once, 'NX', '+inf', key) == 0 then
    refused[#refused + 1] = id
  else
    if wishes[id] then
      hold_key(unique, wishes[id], id, now)
    end
    add_texts(stored, id, job, state, key, others)
    if batch_of[id] then
      redis.call('ZADD', members, 0, batch_of[id] .. '\tL\t' .. id)
    end
    if after == '' or tonumber(after) <= now then
      add(due, 0, place)
    else
      add(later, after, place)
    end
    local queue = queue_of(place)
    arrived[queue] = (arrived[queue] or 0) + 1
  end
end

send_texts(stored, {jobs = jobs, states = states, index = index, series = series, extra = extra})
line_up(ready, tagged, due)
send('ZADD', deferred, later)
for queue, number in pairs(arrived) do
  count(counts, queue, 'READY', number)
end
if tonumber(ARGV[1]) > 0 and #stored.jobs > 0 then
  announce(16, tonumber(ARGV[1]))
end
return table.concat(refused, '\n')
