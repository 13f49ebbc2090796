-- Finds the best of the due jobs, for `fetch`.

-- With several tags: the number of places of a queue that are read beyond the room before each tag is looked up.
local MORE = 16

-- Returns a list of places. After `sort` it holds the best ones that it has seen, at most `room`.
local function collection(room)
  local found, rank, worst = {}, {}, nil
  local self = { found = found }

  -- Adds a place. Removes a tag before its line; a job with several tags is added once. Returns nothing for other text.
  function self.see(entry)
    local place, its_rank = entry:match('([^\t\r]*\t?(\r.*))')
    if place and not rank[place] then
      found[#found + 1] = place
      rank[place] = its_rank
    end
    return place
  end

  function self.sort()
    table.sort(found, function(one, other) return rank[one] < rank[other] end)
    for number = #found, room + 1, -1 do
      found[number] = nil
    end
    worst = found[room] and rank[found[room]]
  end

  -- Returns whether places after `its_rank` were not among the best at the last `sort`.
  function self.is_beyond(its_rank)
    return worst and its_rank >= worst
  end
  return self
end

-- Adds the jobs of several lines, after the places in `last`, which were already added. Reads more only of lines whose
-- last known place is better than the worst of the best.
local function merge(best, key, last)
  local step = 4
  best.sort()
  while next(last) do
    for line, entry in pairs(last) do
      local entries = {}
      if not best.is_beyond(entry:match('\r.*')) then
        entries = redis.call('ZRANGEBYLEX', key, '(' .. entry, '(' .. line .. '\14', 'LIMIT', 0, step)
      end
      for _, next_entry in ipairs(entries) do
        best.see(next_entry)
      end
      last[line] = entries[step]
    end
    step = step * 2
    best.sort()
  end
end

-- Adds the jobs with one of the `wanted` tags in a line of jobs that have tags. Usually there are enough among the first
-- ones. If not, each tag has a line of its own.
local function see_tagged(best, keys, line, first, room, tags, wanted)
  local number, most = 0, room + MORE
  local places = redis.call('ZRANGEBYLEX', keys.ready, '[' .. first, '(' .. line .. '\14', 'LIMIT', 0, most)
  for _, place in ipairs(places) do
    local is_wanted = false
    each_tag(place, function(entry) is_wanted = is_wanted or wanted[entry:match('^[^\t]*')] end)
    if is_wanted and best.see(place) then
      number = number + 1
    end
  end
  best.sort()
  if number >= room or #places < most or best.is_beyond(places[most]:match('\r.*')) then
    return
  end
  local last = {}
  for _, tag in ipairs(tags) do
    local of_tag = tag .. '\t' .. line
    local entry = redis.call('ZRANGEBYLEX', keys.tagged, '[' .. of_tag .. '\r', '(' .. of_tag .. '\14', 'LIMIT', 0, 1)[1]
    last[of_tag] = entry and best.see(entry) and entry
  end
  merge(best, keys.tagged, last)
end

-- Returns the places of the best jobs with one of several tags. Reads queue after queue, beginning with the one whose
-- first job with tags is the best, while a queue may have better jobs than those found. Looking up each tag in each
-- queue would take thousands of lookups.
local function best_of_tags(keys, kinds, room, claim)
  local best, wanted, heads = collection(room), {}, {}
  for _, tag in ipairs(claim.tags) do
    wanted[tag] = true
  end
  for kind in kinds:gmatch('%d') do
    each_line(keys.ready, keys.tagged, kind, claim.queues, nil, claim.paused, function(line, place)
      local its_rank = line:sub(-1) == '\t' and place:match('\r.*')
      if its_rank then
        heads[#heads + 1] = { line = line, place = place, rank = its_rank }
      end
    end)
  end
  table.sort(heads, function(one, other) return one.rank < other.rank end)
  for _, head in ipairs(heads) do
    if best.is_beyond(head.rank) then
      break
    end
    see_tagged(best, keys, head.line, head.place, room, claim.tags, wanted)
  end
  return best.found
end

-- Returns the places of the best jobs of `kinds` (a digit each), best first.
local function best_of(keys, kinds, room, claim)
  if claim.tags and #claim.tags > 1 then
    return best_of_tags(keys, kinds, room, claim)
  end
  local key = claim.tags and #claim.tags > 0 and keys.tagged or keys.ready
  local best, last = collection(room), {}
  for kind in kinds:gmatch('%d') do
    each_line(keys.ready, keys.tagged, kind, claim.queues, claim.tags, claim.paused, function(line, entry)
      last[line] = best.see(entry) and entry
    end)
  end
  local line = next(last)
  if line and not next(last, line) and key == keys.ready then  -- a shortcut for the usual case
    return redis.call('ZRANGEBYLEX', key, '[' .. line .. '\r', '(' .. line .. '\14', 'LIMIT', 0, room)
  end
  merge(best, key, last)
  return best.found
end
