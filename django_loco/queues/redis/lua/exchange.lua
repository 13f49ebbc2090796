-- Stores outcomes and hands over due jobs in one call. Either half may be empty. Running it again with
-- the same arguments changes nothing and returns the same.
--
-- Keys: see the first lines; the channels to announce jobs in follow.
-- Arguments: the outcomes (see `finish`); 1 to accept only those with expired leases; how many marks to leave
-- in the channels, and how many more if limited jobs wait; two lines for each of some of these runs: id and log; and two
-- more: id, and what it does with keys of limits (see `note_ends`); the limits for that (see `limits_of`); the claim, if there
-- is one: nonce, worker, microseconds of its leases, threads, coroutines, queues, tags, and which kinds of jobs are for the
-- threads, and which for the coroutines (a digit each, see `place`); its limits; its ageing in microseconds, or nothing; the
-- worker whose command to return, or nothing.
-- Returns the ids refused; the jobs handed over (see `show`); in how many microseconds the next deferred job becomes
-- due, or a key of limited jobs opens, or -1 if none does, or 0 if this fetch has stopped before the end; the command.
local keys = {
  jobs = KEYS[1], states = KEYS[2], ready = KEYS[3], tagged = KEYS[4], deferred = KEYS[5], held = KEYS[6],
  leases = KEYS[7], finished = KEYS[8], failed = KEYS[9], once = KEYS[10], counts = KEYS[11], extra = KEYS[12],
  paused = KEYS[13], logs = KEYS[14], unique = KEYS[15], pauses = KEYS[16], turns = KEYS[17], turn = KEYS[18],
  closed = KEYS[19], limited = KEYS[20], tats = KEYS[21], closings = KEYS[22], changed_limits = KEYS[23],
  kept = KEYS[25], closed_at = KEYS[26], answer = KEYS[27],
}
turns_key, turn_key = keys.turns, keys.turn
local command = (ARGV[18] or '') ~= '' and redis.call('HGET', KEYS[24], ARGV[18]) or ''
if ARGV[1] == '' and redis.call('EXISTS', keys.ready, keys.deferred, keys.answer) == 0 then
  return { '', '', -1, command }  -- An idle worker asks every second, which must cost next to nothing.
end
local now = micros()

local refused = {}
local is_rescue = ARGV[2] == '1'
local remembered = is_rescue and redis.call('GET', keys.answer)
if remembered then  -- the reply to this rescue did not arrive
  refused = lines(remembered)
elseif ARGV[1] ~= '' then
  refused = finish(ARGV[1], pairs_of(ARGV[4]), pairs_of(ARGV[5]), ARGV[6], keys, now, is_rescue)
  if is_rescue then
    redis.call('SET', keys.answer, table.concat(refused, '\n') .. (#refused > 0 and '\n' or ''), 'PX', 60000)
  end
  local marks, freed = ARGV[3]:match('^(%d+) (%d+)$')
  if freed ~= '0' and redis.call('EXISTS', keys.turns) == 1 then
    marks = marks + freed
  end
  if tonumber(marks) > 0 then
    announce(28, tonumber(marks))
  end
end

local ids = {}
if ARGV[7] then
  ids = fetch({
    nonce = ARGV[7], worker = ARGV[8], lease = tonumber(ARGV[9]), memory = math.ceil(ARGV[9] / 1000) + 60000,
    threads = tonumber(ARGV[10]), coroutines = tonumber(ARGV[11]), queues = words(ARGV[12]), tags = words(ARGV[13]),
    sync = ARGV[14], async = ARGV[15], paused = paused(keys.paused), limits = ARGV[16], ageing = tonumber(ARGV[17]),
  }, keys, now)
end

local next_due = redis.call('ZRANGE', keys.deferred, 0, 0, 'WITHSCORES')[2]
local opening = redis.call('ZRANGE', keys.closed, 0, 0, 'WITHSCORES')[2]
next_due = opening and math.min(opening, next_due or opening) or next_due
if keys.goes_on then
  next_due = now
end
local rows = show(ids, keys.jobs, keys.states, keys.held, keys.extra)
return { table.concat(refused, '\n'), rows, next_due and math.max(0, next_due - now) or -1, command }
