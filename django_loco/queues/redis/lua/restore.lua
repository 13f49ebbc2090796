-- Stores jobs as they are: waiting jobs, and jobs that have ended. The answer is remembered, so running the script again
-- changes nothing.
--
-- Keys: see the first lines; the channels to announce jobs in follow.
-- Arguments: how many marks to leave in the channels; different jobs, seven lines each as for `enqueue`. A job that has ended
-- has its entry (see `change`) instead of a place, and the time at which it has ended (see `add_ended`). The logs of some of
-- them, two lines each: id, and its logs (see `finish`); for some of them the unique keys as for `enqueue`; the members of
-- batches, three lines each: id, batch, and standing (see `members`).
-- Returns the ids of the jobs that were not stored because a job with the id exists, their once-key is known, or their unique
-- key is held.
local jobs, states, index, ready, tagged, deferred, once, counts, series, extra = unpack(KEYS, 1, 10)
local finished, failed, logs, unique, _, _, kept, _, _, answer = unpack(KEYS, 11, 20)
turns_key, turn_key = KEYS[15], KEYS[16]
local batch_states, members = KEYS[18], KEYS[19]
local remembered = redis.call('GET', answer)
if remembered then
  return remembered
end

local payload, ids = lines(ARGV[2]), {}
for row = 1, #payload, 7 do
  ids[#ids + 1] = payload[row]
end

local log_of, wishes, known, now = pairs_of(ARGV[3]), pairs_of(ARGV[4]), pick(jobs, ids), micros()
local stored = {jobs = {}, states = {}, index = {}, series = {}, extra = {}}
local due, later, refused, arrived = {}, {}, {}, {}
local rows, member_of, gone, new = lines(ARGV[5]), {}, {}, {}
for row = 1, #rows, 3 do
  member_of[rows[row]] = { batch = rows[row + 1], standing = rows[row + 2] }
end
local ended, kept_jobs, not_done, kept_logs = {}, {}, {}, {}
for number, id in ipairs(ids) do
  local _, job, state, entry, time, key, others = unpack(payload, 7 * number - 6, 7 * number)
  local waits = entry:find('\r', 1, true)
  if known[number] or wishes[id] and is_taken(unique, wishes[id], id, now)
    or key ~= '' and redis.call('ZADD', once, 'NX', waits and '+inf' or time:match('^[^\t]*'), key) == 0 then
    refused[#refused + 1] = id
  else
    if wishes[id] then
      hold_key(unique, wishes[id], id, now)
    end
    add_texts(stored, id, job, state, key, others)
    if log_of[id] then
      add(kept_logs, id, log_of[id])
    end
    if not waits then
      add_ended(ended, kept_jobs, time, entry)
      if entry:find('\tFAILED', 1, true) then
        add(not_done, 0, id)
      end
    elseif time == '' or tonumber(time) <= now then
      add(due, 0, entry)
    else
      add(later, time, entry)
    end
    local member = member_of[id]
    if member and redis.call('HEXISTS', batch_states, member.batch) == 1 then
      for _, standing in ipairs(STANDINGS) do
        gone[#gone + 1] = member.batch .. '\t' .. standing .. '\t' .. id
      end
      add(new, 0, member.batch .. '\t' .. member.standing .. '\t' .. id)
    end
    local kind = waits and queue_of(entry) .. '\tREADY' or entry:match('^[^\t]*\t([^\t]*\t[^\t]*)')
    arrived[kind] = (arrived[kind] or 0) + 1
  end
end

send_texts(stored, {jobs = jobs, states = states, index = index, series = series, extra = extra})
send('HSET', logs, kept_logs)
line_up(ready, tagged, due)
send('ZADD', deferred, later)
send('ZADD', finished, ended)
send('ZADD', kept, kept_jobs)
send('ZADD', failed, not_done)
send('ZREM', members, gone)
send('ZADD', members, new)
for kind, number in pairs(arrived) do
  local queue, status = kind:match('^(.*)\t(.*)$')
  count(counts, queue, status, number)
end
local said = table.concat(refused, '\n')
redis.call('SET', answer, said, 'PX', 60000)
if tonumber(ARGV[1]) > 0 and #due > 0 then
  announce(21, tonumber(ARGV[1]))
end
return said
