-- Executes one batch of operations of one process, in order and atomically. Their documentation: backends/tracker/__init__.py.
-- ARGV[1], cmsgpack: prefix, process, generation, now (ms), ticks (monotonic ms of that process), settings, operations.
-- Returns cmsgpack: number of batches so far, signals, results, signals for this process only, failures (position, reason);
-- returns false if the process is unknown or has a newer connection.
-- The other processes get the signals in a pub/sub message: the process, then one signal per line.
--
--   user:USER        cmsgpack: status; newest revision of the account that was seen; devices by name, each with status, connection,
--                    process, since, revision at the sign-in (signed) and, in grace, the end of it (over); full, the time at which the
--                    bucket of changes is full; while a change is postponed, the status last sent to applications (told) and the
--                    reason of the change. A record without devices expires after feed_seconds, or when the bucket is full
--   meta             hash: epoch, since, runs, batches, base (see open.lua); clock, time (see clock.lua); generation and revision of
--                    the newest directory that was seen
--   processes        hash: process -> "generation end-of-lease", by the lease clock
--   dead             set of processes whose lease expired and whose devices have not all been deleted
--   out:CONNECTION   exists for feed_seconds after the connection's device was signed out
--   users:PROCESS    set of users with a device of that process
--   figures:PROCESS  text published by that process, until its lease expires
--   grace:PROCESS    sorted set of users by the earliest end of a grace period of theirs, in ticks of that process
-- Keys are computed here and not declared: Redis Cluster is not supported.
local request = cmsgpack.unpack(ARGV[1])
local prefix, me, generation, now, ticks, settings, operations = unpack(request, 1, 7)
local grace, lease, feed_seconds, feed_entries, status_interval, status_window = unpack(settings)
local call = redis.call
local meta, processes = prefix .. 'meta', prefix .. 'processes'

local mine = call('HGET', processes, me)
if not mine or tonumber(string.match(mine, '^%d+')) ~= generation then return false end

local STALE = 'stale' -- result of an operation whose grants are older than those seen before; it changed nothing
local run, told_of, raise_revision, finish = {}, nil, nil, nil -- run: the operations by name
local signalled, signals = {}, {} -- in order, without duplicates

local anew = false -- whether to delete all data at the end of the batch
local alarms = {} -- signals for this process only

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
