-- The other half of `exchange`: hands over jobs that are due.

-- Returns the places of the best jobs of `kinds` (a digit each), best first.
--
-- If they stand in several lines, we look at the first of each; then at more of those lines alone of which the last
-- place that we know is better than the worst of the best.
local function best(keys, kinds, room, claim)
  local key = claim.tags and #claim.tags > 0 and keys.tagged or keys.ready
  local found, rank, last = {}, {}, {}

  -- What precedes the line, a tag, is cut off; a job with several is found several times.
  local function see(entry)
    local place, its_rank = entry:match('([^\t\r]*\t?(\r.*))')
    if place and not rank[place] then
      found[#found + 1] = place
      rank[place] = its_rank
    end
    return place
  end

  local function sort()
    table.sort(found, function(one, other) return rank[one] < rank[other] end)
    for number = #found, room + 1, -1 do
      found[number] = nil
    end
  end

  for kind in kinds:gmatch('%d') do
    each_line(keys.ready, keys.tagged, kind, claim.queues, claim.tags, function(line, entry)
      last[line] = see(entry) and entry
    end)
  end
  local line = next(last)
  if line and not next(last, line) and key == keys.ready then  -- the usual case is worth a shorter way
    return redis.call('ZRANGEBYLEX', key, '[' .. line .. '\r', '(' .. line .. '\14', 'LIMIT', 0, room)
  end

  local step = 4
  sort()
  while next(last) do
    local worst = found[room] and rank[found[room]]
    for line, entry in pairs(last) do
      local entries = {}
      if not worst or entry:match('\r.*') < worst then
        entries = redis.call('ZRANGEBYLEX', key, '(' .. entry, '(' .. line .. '\14', 'LIMIT', 0, step)
      end
      for _, next_entry in ipairs(entries) do
        see(next_entry)
      end
      last[line] = entries[step]
    end
    step = step * 2
    sort()
  end
  return found
end

-- Puts the jobs at `places` under leases. Returns their ids, and who holds them.
local function take(places, claim, keys, now)
  local ids, tags, held, leases, moved = {}, {}, {}, {}, {}
  local holder, until_then = '\t' .. claim.worker .. '\t' .. text(now) .. '\t', text(now + claim.lease)
  for number, place in ipairs(places) do
    local queue, id = place:match('^.([^\t\r]*)\t?\r' .. ('.'):rep(19) .. '([^\t]*)')
    each_tag(place, function(entry) tags[#tags + 1] = entry end)
    ids[number] = id
    add(held, id, claim.nonce .. '.' .. number .. holder .. queue)
    add(leases, until_then, id)
    moved[queue] = (moved[queue] or 0) + 1
  end
  send('ZREM', keys.ready, places)
  send('ZREM', keys.tagged, tags)
  send('HSET', keys.held, held)
  send('ZADD', keys.leases, leases)
  for queue, number in pairs(moved) do
    count(keys.counts, queue, 'READY', -number)
    count(keys.counts, queue, 'RUNNING', number)
  end
  redis.call('SET', keys.answer, claim.nonce .. '\n' .. table.concat(ids, '\n') .. '\n', 'PX', claim.memory)
  return ids
end

-- Returns the ids that were handed over when the nonce was first seen, under new leases, but for those that others have
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
-- is remembered a minute longer than its leases: asked again with it, for a reply was lost, we hand over the same jobs.
local function fetch(claim, keys, now)
  local answer = redis.call('GET', keys.answer)
  if answer and answer:find(claim.nonce .. '\n', 1, true) == 1 then
    return repeated(answer, claim, keys, now)
  end
  promote(keys.deferred, keys.ready, keys.tagged, now)
  local places = claim.threads > 0 and best(keys, claim.sync, claim.threads, claim) or {}
  for _, place in ipairs(claim.coroutines > 0 and best(keys, claim.async, claim.coroutines, claim) or {}) do
    places[#places + 1] = place
  end
  return #places > 0 and take(places, claim, keys, now) or {}
end
