-- The other half of `exchange`: hands over jobs that are due.

-- Returns the places of the best jobs of one kind, best first.
--
-- If they stand in several lines, we look at the first of each; then at more of those lines alone of which the last
-- place that we know is better than the worst of the best.
local function best(ready, kind, room, claim)
  local found, rank, last = {}, {}, {}

  local function see(place)
    found[#found + 1] = place
    rank[place] = place:match('\r.*')
  end

  local function sort()
    table.sort(found, function(one, other) return rank[one] < rank[other] end)
    for number = #found, room + 1, -1 do
      found[number] = nil
    end
  end

  each_line(ready, kind, claim.queues, claim.tags, function(line, place)
    see(place)
    last[line] = place
  end)
  if #found == 1 then  -- the usual case is worth a shorter way
    local line = next(last)
    return redis.call('ZRANGEBYLEX', ready, '[' .. line .. '\r', '(' .. line .. '\14', 'LIMIT', 0, room)
  end

  local step = 4
  sort()
  while next(last) do
    local worst = found[room] and rank[found[room]]
    for line, place in pairs(last) do
      local places = {}
      if not worst or rank[place] < worst then
        places = redis.call('ZRANGEBYLEX', ready, '(' .. place, '(' .. line .. '\14', 'LIMIT', 0, step)
      end
      for _, next_place in ipairs(places) do
        see(next_place)
      end
      last[line] = places[step]
    end
    step = step * 2
    sort()
  end
  return found
end

-- Puts the jobs at `places` under leases. Returns their ids, and who holds them.
local function take(places, claim, keys, now)
  local ids, held, leases, moved = {}, {}, {}, {}
  local holder, until_then = '\t' .. claim.worker .. '\t' .. text(now), text(now + claim.lease)
  for number, place in ipairs(places) do
    local line, id = place:match('^([^\r]*)\r' .. ('.'):rep(19) .. '(.*)')
    ids[number] = id
    add(held, id, claim.nonce .. '.' .. number .. holder)
    add(leases, until_then, id)
    moved[line] = (moved[line] or 0) + 1
  end
  send('ZREM', keys.ready, places)
  send('HSET', keys.held, held)
  send('ZADD', keys.leases, leases)
  for line, number in pairs(moved) do
    count(keys.counts, queue_of(line), 'READY', -number)
    count(keys.counts, queue_of(line), 'RUNNING', number)
  end
  redis.call('SET', keys.answer, claim.nonce .. '\n' .. table.concat(ids, '\n') .. '\n', 'PX', claim.memory)
  return ids
end

-- Returns the ids that were handed over when the nonce was first seen, but for those whose leases have run out since.
local function repeated(answer, claim, keys)
  local ids, still = lines(answer), {}
  table.remove(ids, 1)
  for number, holder in ipairs(pick(keys.held, ids)) do
    if holder and holder:find(claim.nonce .. '.', 1, true) == 1 then
      still[#still + 1] = ids[number]
    end
  end
  return still
end

-- Returns the ids of jobs that are now held. `claim` has a nonce, with which their tokens begin. The answer to a nonce
-- is remembered as long as its leases are valid: asked again with it, for a reply was lost, we hand over the same jobs.
local function fetch(claim, keys, now)
  local answer = redis.call('GET', keys.answer)
  if answer and answer:find(claim.nonce .. '\n', 1, true) == 1 then
    return repeated(answer, claim, keys)
  end
  promote(keys.deferred, keys.ready, now)
  local places = claim.threads > 0 and best(keys.ready, 0, claim.threads, claim) or {}
  for _, place in ipairs(claim.coroutines > 0 and best(keys.ready, 1, claim.coroutines, claim) or {}) do
    places[#places + 1] = place
  end
  return #places > 0 and take(places, claim, keys, now) or {}
end
