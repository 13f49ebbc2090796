-- Functions for batches and their members.
--
-- `batches` is a hash by id with what Python reads, `batch_states` one with seven texts with tabs between: the round, and
-- the times when the batch was made, sealed, cancelled, finished, when its callbacks were enqueued (each nothing if it
-- was not), and its counts when it finished. `open_batches` is a sorted set of the ids of batches whose callbacks are not
-- enqueued, all with the score 0.
--
-- `members` is a sorted set. An entry is
--     <batch> TAB <standing> TAB <id>
-- so that the members of a batch with the same standing are neighbours, and are counted without being read. The standing is a
-- letter: L for a member that waits or runs, S for succeeded, F for failed, C for cancelled. Scripts that move jobs do not
-- write it: `look_at` finds it out from where the job of the member is. So it can be called again, or too late.

local ROUND, MADE, SEALED, CANCELLED, FINISHED, CALLED, COUNTS = 1, 2, 3, 4, 5, 6, 7
local STANDINGS = { 'L', 'S', 'F', 'C' }

local function fields(state)
  local found = {}
  for field in (state .. '\t'):gmatch('([^\t]*)\t') do
    found[#found + 1] = field
  end
  return found
end

local function takes_jobs(state)
  local found = state and fields(state)
  return found and found[FINISHED] == '' and found[CANCELLED] == ''
end

-- Returns whether a job that follows a batch waits or runs: its once-key, a JSON string, is remembered without an
-- end.
local function is_followed(once, batch, round)
  for _, event in ipairs({ 'success', 'failure', 'finish' }) do
    if redis.call('ZSCORE', once, ('"batch:%s:%s:%s"'):format(batch, round, event)) == 'inf' then
      return true
    end
  end
  return false
end

local function number_of(members, batch, standing)
  local start = batch .. '\t' .. standing
  return redis.call('ZLEXCOUNT', members, '[' .. start .. '\t', '(' .. start .. '\n')
end

-- Returns the first entries of a batch with one standing, only entries above `after` if it is given.
local function entries_of(members, batch, standing, after, number)
  local start = batch .. '\t' .. standing
  local from = after == '' and '[' .. start .. '\t' or '(' .. start .. '\t' .. after
  return redis.call('ZRANGEBYLEX', members, from, '(' .. start .. '\n', 'LIMIT', 0, number)
end
