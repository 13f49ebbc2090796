-- Adds the edges of workflows, marks them when nodes have ended, closes and drops them, and finds workflows that have some.
--
-- `edges` is a sorted set, all with the score 0. An edge is there twice, and a node that is not decided once, as
--     <workflow> TAB U TAB <upstream> TAB <downstream>
--     <workflow> TAB <mark> TAB <downstream> TAB <upstream>
--     <workflow> TAB D TAB <downstream> TAB <on_failed>
-- so that the edges from a node, the edges to it with the same mark, and the nodes are neighbours. The mark is W if the
-- upstream node is waited for, S if it has succeeded, F if it has failed.
--
-- Keys: see the first line.
-- Arguments: the name of one of the functions in `verbs`, the workflow, and the arguments that the function's comment names.
local keys = {
  jobs = KEYS[1], states = KEYS[2], held = KEYS[3], batches = KEYS[4], batch_states = KEYS[5], open = KEYS[6],
  members = KEYS[7], edges = KEYS[8],
}
local MARKS = { 'W', 'S', 'F' }
local MANY = 5000  -- how many edges to look at if all are meant

local function range_of(workflow, kind)
  local start = workflow .. '\t' .. kind
  return '[' .. start .. '\t', '(' .. start .. '\n'
end

local function all_of(workflow, kind)
  local from, to = range_of(workflow, kind)
  return redis.call('ZRANGEBYLEX', keys.edges, from, to)
end

local function first_of(workflow, kind)
  local from, to = range_of(workflow, kind)
  return redis.call('ZRANGEBYLEX', keys.edges, from, to, 'LIMIT', 0, 1)[1]
end

local function last_field(entry)
  return entry:match('([^\t]*)$')
end

local function mark_of(workflow, upstream)
  if upstream == ('0'):rep(32) then
    local state = redis.call('HGET', keys.batch_states, workflow)
    return state and fields(state)[SEALED] ~= '' and 'S' or 'W'
  end
  local state = redis.call('HGET', keys.states, upstream)
  if redis.call('HEXISTS', keys.jobs, upstream) == 0 then
    return 'F'
  elseif not state or redis.call('HEXISTS', keys.held, upstream) == 1 then
    return 'W'
  elseif state:find('["SUCCESSFUL"', 1, true) == 1 then
    return 'S'
  end
  return state:find('["FAILED"', 1, true) == 1 and 'F' or 'W'
end

-- Returns some upstream nodes; it begins at another place each time, so that all get their turn.
local function some_upstream(workflow)
  local from, to = range_of(workflow, 'U')
  local number = redis.call('ZLEXCOUNT', keys.edges, from, to)
  local offset = number > MANY and tonumber(text(micros())) % number or 0
  local found, ids = {}, {}
  for _, entry in ipairs(redis.call('ZRANGEBYLEX', keys.edges, from, to, 'LIMIT', offset, MANY)) do
    local upstream = entry:match('([^\t]*)\t[^\t]*$')
    if not found[upstream] then
      found[upstream] = true
      ids[#ids + 1] = upstream
    end
  end
  return ids
end

local verbs = {}

-- Edges, three lines each: upstream, downstream, on_failed.
function verbs.add(workflow, payload)
  local rows, entries = lines(payload), {}
  for row = 1, #rows, 3 do
    local upstream, downstream, on_failed = rows[row], rows[row + 1], rows[row + 2]
    if not redis.call('ZSCORE', keys.edges, workflow .. '\tU\t' .. upstream .. '\t' .. downstream) then
      add(entries, 0, workflow .. '\tU\t' .. upstream .. '\t' .. downstream)
      add(entries, 0, workflow .. '\tW\t' .. downstream .. '\t' .. upstream)
      add(entries, 0, workflow .. '\tD\t' .. downstream .. '\t' .. on_failed)
    end
  end
  send('ZADD', keys.edges, entries)
end

-- Upstream nodes, a line each, or * for all. Returns the nodes that can be decided, a line each: id, TAB, and the id of an
-- upstream node that has failed, or nothing.
function verbs.note(workflow, upstreams)
  local gone, new, nodes, seen, found = {}, {}, {}, {}, {}
  for _, upstream in ipairs(upstreams == '*' and some_upstream(workflow) or lines(upstreams)) do
    local now = mark_of(workflow, upstream)
    for _, entry in ipairs(all_of(workflow, 'U\t' .. upstream)) do
      local downstream = last_field(entry)
      for _, mark in ipairs(MARKS) do
        if mark ~= now then
          gone[#gone + 1] = workflow .. '\t' .. mark .. '\t' .. downstream .. '\t' .. upstream
        end
      end
      add(new, 0, workflow .. '\t' .. now .. '\t' .. downstream .. '\t' .. upstream)
      if not seen[downstream] then
        seen[downstream] = true
        nodes[#nodes + 1] = downstream
      end
    end
  end
  send('ZREM', keys.edges, gone)
  send('ZADD', keys.edges, new)
  for _, node in ipairs(nodes) do
    local failed = first_of(workflow, 'F\t' .. node)
    local on_failed = last_field(first_of(workflow, 'D\t' .. node) or '')
    if not first_of(workflow, 'W\t' .. node) or failed and on_failed ~= 'ignore' then
      found[#found + 1] = node .. '\t' .. (failed and last_field(failed) or '')
    end
  end
  return table.concat(found, '\n')
end

-- Nodes, a line each.
function verbs.close(workflow, nodes)
  local gone = {}
  for _, node in ipairs(lines(nodes)) do
    for _, mark in ipairs(MARKS) do
      for _, entry in ipairs(all_of(workflow, mark .. '\t' .. node)) do
        gone[#gone + 1] = entry
        gone[#gone + 1] = workflow .. '\tU\t' .. last_field(entry) .. '\t' .. node
      end
    end
    gone[#gone + 1] = first_of(workflow, 'D\t' .. node)
  end
  send('ZREM', keys.edges, gone)
end

function verbs.drop(workflow)
  redis.call('ZREMRANGEBYLEX', keys.edges, '[' .. workflow .. '\t', '(' .. workflow .. '\n')
end

-- Deletes a batch that has no members as well.
function verbs.drop_batch(workflow)
  verbs.drop(workflow)
  redis.call('HDEL', keys.batches, workflow)
  redis.call('HDEL', keys.batch_states, workflow)
  redis.call('ZREM', keys.open, workflow)
end

-- Returns the workflows that are sealed and have nodes that are not decided.
function verbs.waiting()
  local found = {}
  if redis.call('EXISTS', keys.edges) == 1 then
    for _, id in ipairs(redis.call('ZRANGE', keys.open, 0, -1)) do
      local state = redis.call('HGET', keys.batch_states, id)
      if state and fields(state)[SEALED] ~= '' and first_of(id, 'D') then
        found[#found + 1] = id
      end
    end
  end
  return table.concat(found, '\n')
end

return verbs[ARGV[1]](unpack(ARGV, 2)) or ''
