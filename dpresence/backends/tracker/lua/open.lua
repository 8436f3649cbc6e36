-- Registers a process on a new connection: see tracker/redis_batches.py, Batches.
-- ARGV[1], cmsgpack: prefix, process, generation, lease (ms), now (ms), run id of the server,
--   last state known to the process (epoch, run id, number of batches), a new epoch in case one is needed, key of the fence.
-- Returns cmsgpack: epoch, start of the stored data (ms), whether the process was known, the number of the run.
-- Returns false if the partition is being moved, or was moved to another server (see move.lua), or is at another node of a Redis Cluster.
local prefix, me, generation, lease, now, run, seen, new_epoch, fence = unpack(cmsgpack.unpack(ARGV[1]))
local clock = require('clock')
local damage = require('damage')
local call = redis.call
local is_here, fences = pcall(call, 'EXISTS', fence)
if not is_here and not damage.is_elsewhere(fences) then error(fences, 0) end
if not is_here or fences == 1 then return cmsgpack.pack(false) end
local meta, processes = prefix .. 'meta', prefix .. 'processes'

local RUNS = 100 -- maximum number of recorded server restarts; a process that last saw an older run causes a reset of all data

for _, key in ipairs({ meta, processes }) do -- a wrong type is damage that requires a reset of all data
  if not string.find('hash none', call('TYPE', key).ok, 1, true) then call('UNLINK', meta, processes) end
end
local epoch, since, batches, recorded = unpack(call('HMGET', meta, 'epoch', 'since', 'batches', 'runs'))
local runs = {} -- runs of the server, oldest first: run id, and the number of batches at the start of that run
for id, start in string.gmatch(recorded or '', '(%S+) (%d+)') do runs[#runs + 1] = { id = id, start = tonumber(start) } end

local function save_runs()
  local lines = {}
  for index = math.max(1, #runs - RUNS + 1), #runs do lines[#lines + 1] = runs[index].id .. ' ' .. runs[index].start end
  call('HSET', meta, 'runs', table.concat(lines, '\n'))
end

-- Return whether a restart of the server has lost batches that this process has seen acknowledged; cursors and devices may be wrong then.
local function has_lost_batches()
  if seen[1] ~= epoch then return false end
  for index = #runs, 1, -1 do
    if runs[index].id == seen[2] then return false end
    if runs[index].start < seen[3] then return true end
  end
  return true -- the run that the process saw was lost or is no longer recorded
end

if epoch and (#runs == 0 or runs[#runs].id ~= run) then -- first registration after a restart of the server, or at a promoted replica
  runs[#runs + 1] = { id = run, start = tonumber(batches) }
  save_runs()
  -- The steps are irregular, so that a run whose registration is lost with it does not share its number with the one that follows.
  call('HSET', meta, 'run', (call('HGET', meta, 'run') or 1) + 1 + tonumber(string.sub(new_epoch, 1, 2), 16))
end

if not epoch or has_lost_batches() then
  local keys = call('KEYS', prefix .. '*')
  for first = 1, #keys, 1000 do
    call('UNLINK', unpack(keys, first, math.min(first + 999, #keys)))
  end
  -- A base above any earlier offset prevents readers of the old feeds from continuing in the new ones.
  local base = seen[1] == '' and 0 or now
  epoch, since, runs = new_epoch, now, { { id = run, start = 0 } }
  call('HSET', meta, 'epoch', epoch, 'since', now, 'batches', 0, 'base', base, 'run', 1)
  save_runs()
end

local ends = clock.tick(meta, lease) + lease
if call('EXISTS', processes) == 0 then -- the key was lost, or no process is registered: processes with devices get one more lease
  for _, key in ipairs(call('KEYS', prefix .. 'users:*')) do
    call('HSET', processes, string.sub(key, #prefix + #'users:' + 1), '0 ' .. ends)
  end
end
local was_known = call('HEXISTS', processes, me) == 1
call('HSET', processes, me, generation .. ' ' .. ends)
call('SREM', prefix .. 'dead', me)
return cmsgpack.pack({ epoch, tonumber(since), was_known, tonumber(call('HGET', meta, 'run') or 1) })
