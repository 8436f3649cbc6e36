-- One step of the move of a partition at one server, atomically; see backends/moving.py and docs/decisions/0056-moving-partitions.md.
-- ARGV[1], cmsgpack: prefix of the keys, the fence, the lock, the mover, its lease (ms), the step. Other arguments are those of the step.
-- Returns what the step does, otherwise 1; 0 if the mover does not hold the lock.
--   {p}move:lock   the mover, while it moves
--   {p}move:fence  exists while no process may use the partition here. Hash: the registered processes, as "processes" in batch.lua, of a
--                  partition that is stopped; text: the partition is elsewhere. See open.lua
local prefix, fence, lock, mover, lease, step = unpack(cmsgpack.unpack(ARGV[1]))
local call = redis.call
local stopped = require('stopped')
local processes = prefix .. 'processes'
local steps = {}

local MAX_BYTES = 2 ^ 20 -- size of the values that one script dumps and stores, if there are several

-- Stop the partition: no process is registered any more, and none can register.
function steps.stop()
  if call('TYPE', fence).ok == 'hash' then return end
  call('DEL', fence)
  if call('EXISTS', processes) == 1 then
    call('RENAME', processes, fence)
  else
    call('HSET', fence, '', '')
  end
end

-- Fail unless the partition is stopped.
function steps.check()
  return call('TYPE', fence).ok == 'hash'
end

-- Open the partition. Keys beside a text are not all that it had (a database or a server was restored): the next registration deletes them.
function steps.open()
  local kind = call('TYPE', fence).ok
  if kind == 'string' then call('UNLINK', prefix .. 'meta', processes) end
  if kind == 'hash' then stopped.resume(fence, prefix) end
  call('DEL', fence)
end

-- Let the partition be elsewhere.
function steps.close()
  call('SET', fence, '')
end

function steps.delete(...)
  call('UNLINK', ...)
end

-- Return the number of the first keys that were dumped, or do not exist, the number of those dumped, and what "restore" takes.
function steps.dump(...)
  local items, size = {}, 0
  for index, key in ipairs({ ... }) do
    local value, ttl = stopped.dump(key)
    size = size + #(value or '')
    if #items > 0 and size > MAX_BYTES then return { index - 1, #items, cmsgpack.pack(items) } end
    if value then items[#items + 1] = { key, value, ttl } end
  end
  return { select('#', ...), #items, cmsgpack.pack(items) }
end

-- Store keys that were dumped.
function steps.restore(dumped)
  for _, item in ipairs(cmsgpack.unpack(dumped)) do stopped.restore(unpack(item)) end
end

-- Only hold the lock.
function steps.hold() end

function steps.unlock()
  call('DEL', lock)
end

if call('GET', lock) ~= mover then return 0 end
call('PEXPIRE', lock, lease)
local result = (steps[step] or require('splitting')(prefix, fence)[step])(unpack(ARGV, 2))
if result == nil then result = 1 end
if result == false then result = 0 end
return result
