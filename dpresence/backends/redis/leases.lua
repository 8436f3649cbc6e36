-- Leases, by the lease clock, and what a process says under its lease. Comes after "devices.lua".

-- Let the lease of this process end after so many milliseconds; return the present by the lease clock.
local function end_lease_after(milliseconds)
  local present = tick(meta, lease)
  call('HSET', processes, me, generation .. ' ' .. (present + milliseconds))
  return present
end

function run.renew()
  end_lease_after(lease)
end

-- A clean end: what is still connected, or in grace, has as long as a grace lasts.
function run.retire()
  call('DEL', prefix .. 'figures:' .. me)
  end_lease_after(grace)
end

-- Find the processes whose lease ran out.
local function bury(present)
  local all = call('HGETALL', processes)
  for index = 1, #all, 2 do
    if tonumber(string.match(all[index + 1], ' (%S+)$')) <= present then
      call('HDEL', processes, all[index])
      call('SADD', prefix .. 'dead', all[index])
      call('DEL', prefix .. 'figures:' .. all[index])
    end
  end
end

-- Answers the processes that are dead and left users behind.
function run.due()
  bury(end_lease_after(lease)) -- who looks is alive
  local found = {}
  for _, process in ipairs(call('SMEMBERS', prefix .. 'dead')) do
    if call('SCARD', prefix .. 'users:' .. process) > 0 then
      found[#found + 1] = process
    else
      call('SREM', prefix .. 'dead', process)
      call('DEL', prefix .. 'users:' .. process, prefix .. 'grace:' .. process)
    end
  end
  return found
end

-- Answers where to go on, "0" at the end, and some users with a device at a process.
function run.users(process, cursor)
  return call('SSCAN', prefix .. 'users:' .. process, cursor, 'COUNT', SOME)
end

-- Answers SOME of the users of this process with a device whose grace is over, fewer at the end.
function run.over(first)
  return call('ZRANGEBYSCORE', prefix .. 'grace:' .. me, '-inf', ticks, 'LIMIT', first, SOME)
end

function run.publish(text)
  call('SET', prefix .. 'figures:' .. me, text, 'PX', lease)
end

function run.published()
  local found = {}
  for _, process in ipairs(call('HKEYS', processes)) do
    local text = call('GET', prefix .. 'figures:' .. process)
    if text then found[#found + 1] = text end
  end
  return found
end

-- Give a task to the first process that asks, and to none for some time after that.
function run.claim(task, milliseconds)
  local present, field = tick(meta, lease), 'claim ' .. task
  if present < tonumber(call('HGET', meta, field) or 0) then return false end
  call('HSET', meta, field, present + milliseconds)
  return true
end

function run.follows(generation, revision)
  local known = call('HMGET', meta, 'generation', 'revision')
  if known[1] and (known[1] ~= generation or revision < tonumber(known[2])) then return false end
  call('HSET', meta, 'generation', generation, 'revision', revision)
  return true
end

function run.begin_anew()
  anew = true
end

function run.signal(text)
  signal(text)
end

-- A ping proves that the server takes writes, as every batch does: see end.lua.
function run.ping() end
