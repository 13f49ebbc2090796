-- Finds the best of the due jobs, for `fetch`.

-- With several tags: the number of places of a queue that are read beyond the room before each tag is looked up.
local MORE = 16

-- Returns a sort key in the order in which jobs should run: the part of a place after the line. With `ageing`, which is in
-- microseconds, it begins with the rank of the job (see core/job/ageing.py).
local function rank_of(place, ageing)
  local rank = place:match('\r.*')
  if not ageing or not rank then
    return rank
  end
  return ('%017.0f'):format(tonumber(rank:sub(5, 20)) + tonumber(rank:sub(2, 4)) * ageing) .. rank:sub(21)
end

-- Calls `visit` with each level of a line, which is the line, a CR and a priority, and its first entry. With ageing the
-- places of a level are in the order in which they should run, but the places of a whole line are not.
local function each_level(key, line, entry, visit)
  while entry do
    local level = entry:match('^[^\r]*\r...')
    visit(level, entry)
    entry = redis.call('ZRANGEBYLEX', key, '(' .. level .. ':', '(' .. line .. '\14', 'LIMIT', 0, 1)[1]
  end
end

local function visit_once(_, line, entry, visit)
  visit(line, entry)
end

-- Returns what stands before the first place of a line or level, and after the last one.
local function ends_of(ageing)
  if ageing then
    return '', ':'
  end
  return '\r', '\14'
end

-- Returns a list of places. After `sort` it holds the best ones that it has seen, at most `room`.
local function collection(room, ageing)
  local found, rank, worst = {}, {}, nil
  local self = { found = found }

  -- Adds a place. Removes a tag before its line; a job with several tags is added once. Returns nothing for other text.
  function self.see(entry)
    local place = entry:match('([^\t\r]*\t?\r.*)')
    if place and not rank[place] then
      found[#found + 1] = place
      rank[place] = rank_of(place, ageing)
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

  -- Returns whether places after this one of a line or level were not among the best at the last `sort`.
  function self.is_beyond(place)
    return worst and rank_of(place, ageing) >= worst
  end
  return self
end

-- Adds the jobs of several lines, after the places in `last`, which were already added. Reads more only of lines whose
-- last known place is better than the worst of the best.
local function merge(best, key, last, stop)
  local step = 4
  best.sort()
  while next(last) do
    for line, entry in pairs(last) do
      local entries = {}
      if not best.is_beyond(entry) then
        entries = redis.call('ZRANGEBYLEX', key, '(' .. entry, '(' .. line .. stop, 'LIMIT', 0, step)
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
local function see_tagged(best, keys, line, first, room, claim, wanted)
  local number, most, start, stop = 0, room + MORE, ends_of(claim.ageing)
  local places = redis.call('ZRANGEBYLEX', keys.ready, '[' .. first, '(' .. line .. stop, 'LIMIT', 0, most)
  for _, place in ipairs(places) do
    local is_wanted = false
    each_tag(place, function(entry) is_wanted = is_wanted or wanted[entry:match('^[^\t]*')] end)
    if is_wanted and best.see(place) then
      number = number + 1
    end
  end
  best.sort()
  if number >= room or #places < most or best.is_beyond(places[most]) then
    return
  end
  local last = {}
  for _, tag in ipairs(claim.tags) do
    local of_tag = tag .. '\t' .. line
    local entry = redis.call('ZRANGEBYLEX', keys.tagged, '[' .. of_tag .. start, '(' .. of_tag .. stop, 'LIMIT', 0, 1)[1]
    last[of_tag] = entry and best.see(entry) and entry
  end
  merge(best, keys.tagged, last, stop)
end

-- Returns the places of the best jobs with one of several tags. Reads queue after queue, beginning with the one whose
-- first job with tags is the best, while a queue may have better jobs than those found. Looking up each tag in each
-- queue would take thousands of lookups.
local function best_of_tags(keys, kinds, room, claim)
  local best, wanted, heads = collection(room, claim.ageing), {}, {}
  for _, tag in ipairs(claim.tags) do
    wanted[tag] = true
  end
  for kind in kinds:gmatch('%d') do
    each_line(keys.ready, keys.tagged, kind, claim.queues, nil, claim.paused, function(line, place)
      local function add_head(of_line, first)
        heads[#heads + 1] = { line = of_line, place = first, rank = rank_of(first, claim.ageing) }
      end
      if line:sub(-1) == '\t' and rank_of(place) then
        (claim.ageing and each_level or visit_once)(keys.ready, line, place, add_head)
      end
    end)
  end
  table.sort(heads, function(one, other) return one.rank < other.rank end)
  for _, head in ipairs(heads) do
    if best.is_beyond(head.place) then
      break
    end
    see_tagged(best, keys, head.line, head.place, room, claim, wanted)
  end
  return best.found
end

-- Returns the places of the best jobs of `kinds` (a digit each), best first.
local function best_of(keys, kinds, room, claim)
  if claim.tags and #claim.tags > 1 then
    return best_of_tags(keys, kinds, room, claim)
  end
  local key = claim.tags and #claim.tags > 0 and keys.tagged or keys.ready
  local best, last, _, stop = collection(room, claim.ageing), {}, ends_of(claim.ageing)
  for kind in kinds:gmatch('%d') do
    each_line(keys.ready, keys.tagged, kind, claim.queues, claim.tags, claim.paused, function(line, entry)
      (claim.ageing and each_level or visit_once)(key, line, entry, function(part, first)
        last[part] = best.see(first) and first
      end)
    end)
  end
  local line = next(last)
  if line and not next(last, line) and key == keys.ready then  -- a shortcut for the usual case
    return redis.call('ZRANGEBYLEX', key, '[' .. last[line], '(' .. line .. stop, 'LIMIT', 0, room)
  end
  merge(best, key, last, stop)
  return best.found
end
