-- Leases, by the lease clock.
local clock, feeds, context, figures = require('clock'), require('feeds'), require('batch_context'), require('figures')
local call, me = redis.call, context.process
local operations = {}

-- Set the end of this process's lease, in milliseconds from now; return the current time of the lease clock.
local function end_lease_after(milliseconds)
  local present = clock.tick(context.meta, context.lease)
  call('HSET', context.processes, me, context.generation .. ' ' .. (present + milliseconds))
  return present
end

function operations.renew()
  end_lease_after(context.lease)
end

-- Regular end of a process: devices that are still connected or in grace expire after one more grace period.
function operations.retire()
  figures.settle(me)
  end_lease_after(context.grace)
end

-- Record the processes whose lease has expired as dead.
local function expire_leases(present)
  local all = call('HGETALL', context.processes)
  for index = 1, #all, 2 do
    if tonumber(string.match(all[index + 1], ' (%S+)$')) <= present then
      call('HDEL', context.processes, all[index])
      call('SADD', context.prefix .. 'dead', all[index])
      figures.settle(all[index])
    end
  end
end

-- Return the dead processes that still have users.
function operations.due()
  expire_leases(end_lease_after(context.lease)) -- a call also renews this process's lease
  local found = {}
  for _, process in ipairs(call('SMEMBERS', context.prefix .. 'dead')) do
    if call('SCARD', context.prefix .. 'users:' .. process) > 0 then
      found[#found + 1] = process
    else
      call('SREM', context.prefix .. 'dead', process)
      call('DEL', context.prefix .. 'users:' .. process, context.prefix .. 'grace:' .. process)
    end
  end
  return found
end

-- Return the next cursor ("0" at the end) and some users who have a device at a process.
function operations.users(process, cursor)
  return call('SSCAN', context.prefix .. 'users:' .. process, cursor, 'COUNT', feeds.MAX_ENTRIES_PER_CALL)
end

-- Return up to feeds.MAX_ENTRIES_PER_CALL users of this process who have a device whose grace period has ended, fewer at the end.
function operations.ended_grace(first)
  return call('ZRANGEBYSCORE', context.prefix .. 'grace:' .. me, '-inf', context.ticks, 'LIMIT', first, feeds.MAX_ENTRIES_PER_CALL)
end

-- Return true to the first process that claims a task, and false to all for some time afterwards.
function operations.claim(task, milliseconds)
  local present, field = clock.tick(context.meta, context.lease), 'claim ' .. task
  if present < tonumber(call('HGET', context.meta, field) or 0) then return false end
  call('HSET', context.meta, field, present + milliseconds)
  return true
end

function operations.record_version(generation, revision)
  local known = call('HMGET', context.meta, 'generation', 'revision')
  if known[1] and (known[1] ~= generation or revision < tonumber(known[2])) then return false end
  call('HSET', context.meta, 'generation', generation, 'revision', revision)
  return true
end

function operations.reset()
  context.reset = true
end

function operations.signal(text)
  context.signal(text)
end

-- The batch of a ping shows that the server accepts writes, as every batch writes: see batch.lua.
function operations.ping() end

return operations
