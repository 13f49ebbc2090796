-- The other half of `exchange`: hands over due jobs.

-- Claims the jobs at `places`. Returns their ids.
local function take(places, claim, keys, now)
  local ids, tags, held, leases, moved, limited = {}, {}, {}, {}, {}, {}
  local holder, until_then = '\t' .. claim.worker .. '\t' .. text(now) .. '\t', text(now + claim.lease)
  for number, place in ipairs(places) do
    local queue, id = place:match('^.([^\t\v\r]*)[^\r]*\r' .. ('.'):rep(19) .. '([^\t]*)')
    if place:byte() > 51 then  -- a kind above 3
      add(limited, id, limit_key_of(place))
    end
    each_tag(place, function(entry) tags[#tags + 1] = entry end)
    ids[number] = id
    add(held, id, claim.nonce .. '.' .. number .. holder .. queue)
    add(leases, until_then, id)
    moved[queue] = (moved[queue] or 0) + 1
  end
  free_keys(keys.unique, ids, { started = true })
  send('ZREM', keys.ready, places)
  send('ZREM', keys.tagged, tags)
  send('HSET', keys.held, held)
  send('ZADD', keys.leases, leases)
  send('HSET', keys.limited, limited)
  for queue, number in pairs(moved) do
    count(keys.counts, queue, 'READY', -number)
    count(keys.counts, queue, 'RUNNING', number)
  end
  redis.call('SET', keys.answer, claim.nonce .. '\n' .. table.concat(ids, '\n') .. '\n', 'PX', claim.memory)
  return ids
end

-- Returns the ids that were handed over when the nonce was first seen, with new leases, except the ids of jobs that were
-- freed since.
local function repeated(answer, claim, keys, now)
  local ids, still, leases = lines(answer), {}, {}
  table.remove(ids, 1)
  for number, holder in ipairs(pick(keys.held, ids)) do
    if holder and holder:find(claim.nonce .. '.', 1, true) == 1 then
      still[#still + 1] = ids[number]
      add(leases, text(now + claim.lease), ids[number])
    end
  end
  redis.call('ZREM', keys.leases, '')  -- as in `renew`
  send('ZADD', keys.leases, leases)
  return still
end

-- Returns the ids of jobs that are now held. `claim` has a nonce, with which their tokens begin. The answer to a nonce
-- is remembered a minute longer than its leases. A second fetch with the nonce, whose reply did not arrive, gets the same
-- jobs.
local function fetch(claim, keys, now)
  local answer = redis.call('GET', keys.answer)
  if answer and answer:find(claim.nonce .. '\n', 1, true) == 1 then
    return repeated(answer, claim, keys, now)
  end
  promote(keys.deferred, keys.ready, keys.tagged, now)
  local shelves = shelves_of(keys)
  local find = shelves and best_free or best_of
  local of_threads = claim.threads > 0 and find(keys, claim.sync, claim.threads, claim, shelves) or {}
  local of_coroutines = claim.coroutines > 0 and find(keys, claim.async, claim.coroutines, claim, shelves) or {}
  local served, more = {}, {}
  if redis.call('EXISTS', keys.turns, keys.closed) > 0 then
    reopen(keys, now)
    local limiter = limiter_of(keys, limits_of(claim.limits, keys.changed_limits), now)
    of_threads, served = take_turns(limited(claim.sync), claim.threads, of_threads, claim, keys, now, limiter, shelves)
    of_coroutines, more = take_turns(limited(claim.async), claim.coroutines, of_coroutines, claim, keys, now, limiter, shelves)
  end
  local places = of_threads
  for _, place in ipairs(of_coroutines) do
    places[#places + 1] = place
  end
  local ids = #places > 0 and take(places, claim, keys, now) or {}
  note_turns(keys, served, now)
  note_turns(keys, more, now)
  return ids
end
