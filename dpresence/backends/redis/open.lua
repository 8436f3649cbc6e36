-- A process comes, or comes back after its connection was lost: see tracker/redis.py, RedisTracker._begin.
-- ARGV[1], cmsgpack: prefix, process, generation, lease (ms), now (ms), run id of the server,
--   what the process knew last (epoch, run id, number of batches), a new epoch in case one is needed.
-- Answers cmsgpack: epoch, since when it remembers (ms), whether the process was known.
local prefix, me, generation, lease, now, run, seen, fresh = unpack(cmsgpack.unpack(ARGV[1]))
local call = redis.call
local meta, processes = prefix .. 'meta', prefix .. 'processes'

local known = call('HMGET', meta, 'epoch', 'since', 'run', 'start', 'batches')
local epoch, since, start = known[1], known[2], tonumber(known[4] or 0)
if epoch and known[3] ~= run then -- the first to come since the server was restarted
  start = tonumber(known[5])
  call('HSET', meta, 'run', run, 'start', start)
end

-- A restart took back what a process had been told is done: every cursor and every device may be wrong.
local turned_back = seen[1] == epoch and seen[2] ~= run and start < seen[3]
if not epoch or turned_back then
  local keys = call('KEYS', prefix .. '*')
  for first = 1, #keys, 1000 do
    call('UNLINK', unpack(keys, first, math.min(first + 999, #keys)))
  end
  -- With a base above any offset of old no reader of the old feeds takes the new ones for their continuation.
  local base = seen[1] == '' and 0 or now
  epoch, since = fresh, now
  call('HSET', meta, 'epoch', epoch, 'since', now, 'run', run, 'start', 0, 'batches', 0, 'base', base)
end

local time = call('TIME')
local was_known = call('HEXISTS', processes, me) == 1
call('HSET', processes, me, generation .. ' ' .. (time[1] * 1000 + math.floor(time[2] / 1000) + lease))
call('SREM', prefix .. 'dead', me)
return cmsgpack.pack({ epoch, tonumber(since), was_known })
