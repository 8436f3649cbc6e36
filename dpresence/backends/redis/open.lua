-- A process comes, or comes back after its connection was lost: see tracker/redis.py, RedisTracker._begin. Comes after "clock.lua".
-- ARGV[1], cmsgpack: prefix, process, generation, lease (ms), now (ms), run id of the server,
--   what the process knew last (epoch, run id, number of batches), a new epoch in case one is needed.
-- Answers cmsgpack: epoch, since when it remembers (ms), whether the process was known.
local prefix, me, generation, lease, now, run, seen, fresh = unpack(cmsgpack.unpack(ARGV[1]))
local call = redis.call
local meta, processes = prefix .. 'meta', prefix .. 'processes'

local RUNS = 100 -- so many restarts are remembered; a process that saw an older run has everything begin anew

for _, key in ipairs({ meta, processes }) do -- without them nothing here can be told: it begins anew
  if not string.find('hash none', call('TYPE', key).ok, 1, true) then call('UNLINK', meta, processes) end
end
local epoch, since, batches, kept = unpack(call('HMGET', meta, 'epoch', 'since', 'batches', 'runs'))
local runs = {} -- the runs of the server: its run id, and how many batches it had when that run began; oldest first
for id, start in string.gmatch(kept or '', '(%S+) (%d+)') do runs[#runs + 1] = { id = id, start = tonumber(start) } end

local function keep_runs()
  local lines = {}
  for index = math.max(1, #runs - RUNS + 1), #runs do lines[#lines + 1] = runs[index].id .. ' ' .. runs[index].start end
  call('HSET', meta, 'runs', table.concat(lines, '\n'))
end

-- Return whether a restart took back what a process had been told is done: every cursor and every device may be wrong.
local function turned_back()
  if seen[1] ~= epoch then return false end
  for index = #runs, 1, -1 do
    if runs[index].id == seen[2] then return false end
    if runs[index].start < seen[3] then return true end
  end
  return true -- the run it saw is taken back, or forgotten
end

if epoch and (#runs == 0 or runs[#runs].id ~= run) then -- the first to come since the server was restarted
  runs[#runs + 1] = { id = run, start = tonumber(batches) }
  keep_runs()
end

if not epoch or turned_back() then
  local keys = call('KEYS', prefix .. '*')
  for first = 1, #keys, 1000 do
    call('UNLINK', unpack(keys, first, math.min(first + 999, #keys)))
  end
  -- With a base above any offset of old no reader of the old feeds takes the new ones for their continuation.
  local base = seen[1] == '' and 0 or now
  epoch, since, runs = fresh, now, { { id = run, start = 0 } }
  call('HSET', meta, 'epoch', epoch, 'since', now, 'batches', 0, 'base', base)
  keep_runs()
end

local ends = tick(meta, lease) + lease
if call('EXISTS', processes) == 0 then -- the key is lost, or nobody is there: who left devices behind has a lease to come back
  for _, key in ipairs(call('KEYS', prefix .. 'users:*')) do
    call('HSET', processes, string.sub(key, #prefix + #'users:' + 1), '0 ' .. ends)
  end
end
local was_known = call('HEXISTS', processes, me) == 1
call('HSET', processes, me, generation .. ' ' .. ends)
call('SREM', prefix .. 'dead', me)
return cmsgpack.pack({ epoch, tonumber(since), was_known })
