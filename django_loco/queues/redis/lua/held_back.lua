-- Pauses of tasks and tags: how a fetch moves their jobs out of its way.
--
-- `pauses` is a hash: "task" or "tag", a TAB and a name (a JSON string), and a *shelf* for each: a score in `deferred` that no
-- clock reaches. A job that is held back waits there. When its pause ends, the field becomes "over", a TAB and the shelf,
-- until all jobs of the shelf are back: each fetch moves some, so that none stays behind if a process dies meanwhile.

-- How many jobs a fetch looks at beyond those that it may take, and how many it moves at most (see `records.pauses`).
local LOOK_AHEAD, MOST_MOVED = 100, 500

-- Moves up to `most` jobs of a shelf back to their places. Returns how many. Deletes the shelf when it is empty.
local function let_go(keys, shelf, most)
  local places, due = redis.call('ZRANGEBYSCORE', keys.deferred, shelf, shelf, 'LIMIT', 0, most), {}
  for _, place in ipairs(places) do
    add(due, 0, place)
  end
  send('ZREM', keys.deferred, places)
  line_up(keys.ready, keys.tagged, due)
  if #places < most then
    redis.call('HDEL', keys.pauses, 'over\t' .. shelf)
  end
  return #places
end

-- Returns the shelves of paused tasks and tags; nothing if there are none. Moves jobs of pauses that are over.
local function shelves_of(keys)
  local fields, shelves, is_any = redis.call('HGETALL', keys.pauses), {}, false
  for number = 1, #fields, 2 do
    local over = fields[number]:match('^over\t(.*)')
    if over then
      let_go(keys, over, MOST_MOVED)
    else
      shelves[fields[number]] = fields[number + 1]
      is_any = true
    end
  end
  return is_any and shelves or nil
end

-- Returns the shelf of the job at `place`, whose text is `job`; nothing if it is not held back.
local function shelf_of(place, job, shelves)
  local shelf = job and shelves['task\t' .. (job:match('^%[("[^"]*")') or '')]
  each_tag(place, function(entry) shelf = shelf or shelves['tag\t' .. entry:match('^[^\t]*')] end)
  return shelf
end

-- Adds the first `room` of `places` that are not held back to `free`, and moves the ones that are. Returns how many it moved.
local function sift(keys, places, room, shelves, free)
  local ids, gone, tags, moved = {}, {}, {}, {}
  for number, place in ipairs(places) do
    ids[number] = place:match('\r' .. ('.'):rep(19) .. '([^\t]*)')
  end
  local jobs = pick(keys.jobs, ids)
  for number, place in ipairs(places) do
    local shelf = shelf_of(place, jobs[number], shelves)
    if shelf then
      gone[#gone + 1] = place
      each_tag(place, function(entry) tags[#tags + 1] = entry end)
      add(moved, shelf, place)
    elseif #free < room then
      free[#free + 1] = place
    end
  end
  send('ZREM', keys.ready, gone)
  send('ZREM', keys.tagged, tags)
  send('ZADD', keys.deferred, moved)
  return #gone
end

-- Returns the places of the best jobs that are not held back, as `best_of` does, and how many others were moved. Sets
-- `keys.goes_on` if it stopped because there are many others: then the next fetch looks behind them.
local function best_free(keys, kinds, room, claim, shelves)
  local moved, free, now_moved = 0, {}, 0
  repeat
    free = {}
    now_moved = sift(keys, best_of(keys, kinds, room + LOOK_AHEAD, claim), room, shelves, free)
    moved = moved + now_moved
  until #free >= room or now_moved == 0 or moved >= MOST_MOVED
  keys.goes_on = keys.goes_on or #free < room and now_moved > 0
  return free, moved
end
