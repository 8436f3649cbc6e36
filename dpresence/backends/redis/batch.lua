-- One batch of operations of one process, in order and in one step. What each means: backends/tracker/__init__.py.
-- ARGV[1], cmsgpack: prefix, process, generation, now (ms), ticks (ms, of that process alone), settings, operations.
-- Answers cmsgpack: number of batches so far, signals, results, signals for this process alone, what failed (position, reason);
-- nothing when the process is not known or has a newer connection.
-- Everybody else hears of the signals by a message: the process, then each of them, a line each.
--
--   user:USER        cmsgpack: status; newest revision of the account that was seen; devices by name, each with status, connection,
--                    process, since, revision at the sign-in (signed) and, in grace, over; full, when the bucket of changes is full;
--                    while a change is postponed, the status that applications were told and the reason of the change.
--                    Without devices it lives for feed_seconds, or until the bucket is full
--   meta             hash: epoch, since, runs, batches, base (see open.lua); clock, time (see clock.lua); generation and revision of
--                    the newest directory that was seen
--   processes        hash: process -> "generation end-of-lease", by the lease clock
--   dead             set of processes whose lease ran out and whose devices have not all been dropped
--   out:CONNECTION   for some time: its device was signed out
--   users:PROCESS    set of users with a device of that process
--   figures:PROCESS  what that process says of itself, until its lease is over
--   grace:PROCESS    sorted set of users by when the first grace of theirs ends, in ticks of that process
-- Keys are made here and not declared: Redis Cluster is out of scope.
local request = cmsgpack.unpack(ARGV[1])
local prefix, me, generation, now, ticks, settings, operations = unpack(request, 1, 7)
local grace, lease, feed_seconds, feed_entries, status_interval, status_window = unpack(settings)
local call = redis.call
local meta, processes = prefix .. 'meta', prefix .. 'processes'

local mine = call('HGET', processes, me)
if not mine or tonumber(string.match(mine, '^%d+')) ~= generation then return false end

local STALE = 'stale' -- the result of an operation whose grants are older than what was seen; it changed nothing
local run, told_of, raise_revision, finish = {}, nil, nil, nil -- the operations by name
local signalled, signals = {}, {} -- each once, in order

local anew = false -- whether everything is forgotten at the end of the batch
local alarms = {} -- signals for this process alone

local function alarm(text)
  if not alarms[text] then
    alarms[text] = true
    alarms[#alarms + 1] = text
  end
end

local function signal(text)
  if not signalled[text] then
    signalled[text] = true
    signals[#signals + 1] = text
  end
end
