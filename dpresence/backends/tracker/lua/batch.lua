-- Executes one batch of operations of one process, atomically. It has a section for each partition of the tracker that it concerns; the
-- operations of a section are executed in order. Their documentation: backends/tracker/__init__.py.
-- ARGV[1], cmsgpack: process, now (ms), ticks (monotonic ms of that process), settings, pub/sub channel, sections, each with the prefix of
-- its keys, the registration and the number of the run (see open.lua), what precedes its signals in a message, operations.
-- Returns cmsgpack for each section: number of batches of the partition so far, signals, results, signals for this process only, failures
-- (position, reason), new entries of feeds that this process reads (see docs/decisions/0021-entries-in-the-answer.md);
-- false if the process is unknown or has a newer connection, or the partition is at another node of a Redis Cluster.
-- The other processes, if there are any, get the signals of all sections in one message: the process, then one signal per line.
--
--   user:USER        cmsgpack: status; newest revision of the account that was seen; devices by name, each with status, connection,
--                    process, since, revision at the sign-in (signed) and, in grace, the end of it (over); full, the time at which the
--                    bucket of changes is full; while a change is postponed, the status last sent to applications (told) and the
--                    reason of the change. A record without devices expires after feed_seconds, or when the bucket is full
--   meta             hash: epoch, since, runs, run, batches, base (see open.lua); clock, time (see clock.lua); generation and revision of
--                    the newest directory that was seen
--   processes        hash: process -> "generation end-of-lease", by the lease clock
--   dead             set of processes whose lease expired and whose devices have not all been deleted
--   out:CONNECTION   exists for feed_seconds after the connection's device was signed out
--   out:USER, out:USER DEVICE   for 12 hours after a sign-out of a user or a device, the revision before which sign-ins have ended
--   users:PROCESS    set of users with a device of that process
--   figures:PROCESS  text published by that process, until its lease expires
--   counts:PROCESS   counts published by that process, JSON; after its end settled:PROCESS, for a day
--   ended            hash: sums of the counts of processes that have ended
--   grace:PROCESS    sorted set of users by the earliest end of a grace period of theirs, in ticks of that process
--   postponed        see rates.lua; the keys of feeds: see feeds.lua
-- Keys and fields keep these names: processes of several versions use them at the same time during an upgrade.
-- Keys are computed here and not declared, as partitions of one node of a Redis Cluster are in several slots.
local context, damage, feeds = require('batch_context'), require('damage'), require('feeds')
local call = redis.call

local PARTS = { 'devices', 'reading', 'grants', 'statuses', 'leases', 'figures' } -- modules that return operations by name

-- Return the function of an operation. A module is loaded when an operation is looked up that no earlier one has.
local function find(name)
  for _, part in ipairs(PARTS) do
    local operation = require(part)[name]
    if operation then return operation end
  end
end

-- Return whether another process may receive signals. Each one subscribes to a channel of its own too, so that it is not counted itself.
local function may_have_other_subscribers()
  local known, counts = pcall(call, 'PUBSUB', 'NUMSUB', context.channel, context.channel .. ':' .. context.process)
  return not known or counts[4] == 0 or counts[2] > counts[4]
end

local function is_registered()
  local registered = call('HGET', context.processes, context.process)
  return registered and tonumber(string.match(registered, '^%d+')) == context.generation
end

local function execute()
  if not is_registered() then return false end

  -- The first write of a section. A server that is full or refuses writes fails that of the first one before anything has changed, and
  -- refuses none after it.
  local batches = call('HINCRBY', context.meta, 'batches', 1)

  local results, failed = {}, {}
  for position, operation in ipairs(context.operations) do
    local done, result = pcall(find(operation[1]), unpack(operation, 3)) -- the second one is the partition
    if not done and damage.is_elsewhere(result) then error(result, 0) end
    if not done then
      failed[#failed + 1] = { position, damage.reason_of(result) }
      result = false
    end
    if result == nil then result = true end
    results[position] = result
  end
  local entries = feeds.save_all()
  if context.reset then call('UNLINK', context.meta, context.processes) end -- the next registration deletes all data, see open.lua
  return { batches, table.concat(context.signals, '\n'), results, table.concat(context.local_signals, '\n'), failed, entries }
end

-- Execute a section. If its slot is moving to another node, some operations may have been executed in part: the data is deleted.
local function execute_here()
  local done, answer = pcall(execute)
  if done then return answer end
  if not damage.is_elsewhere(answer) then error(answer, 0) end
  feeds.forget_all()
  for _, key in ipairs({ context.meta, context.processes }) do pcall(call, 'UNLINK', key) end -- see open.lua
  return false
end

local answers, message = {}, { context.process }
for position, section in ipairs(context.sections) do
  context.begin(section)
  answers[position] = execute_here()
  if #context.signals > 0 then message[#message + 1] = context.label .. table.concat(context.signals, '\n') end
end
if #message > 1 and may_have_other_subscribers() then
  call('PUBLISH', context.channel, table.concat(message, '\n')) -- see tracker/redis_server.py
end
return cmsgpack.pack(answers)
