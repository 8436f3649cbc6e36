-- What a move and a split do with the keys of a partition that is stopped; see move.lua and splitting.lua.
local call = redis.call
local stopped = {}

-- Return the dumped value of a key, false if it does not exist, and its time to live (ms), 0 without one.
function stopped.dump(key)
  local value, ttl = call('DUMP', key), call('PTTL', key)
  return value, ttl == -1 and 0 or math.max(ttl, 1)
end

-- Store a dumped value.
function stopped.restore(key, value, ttl)
  call('RESTORE', key, ttl, value, 'REPLACE')
end

-- Let every process of a fence register again with a partition (generation 0). Its lease continues, and the lease clock from its last time.
function stopped.resume(fence, prefix)
  local registered = call('HGETALL', fence)
  for index = 1, #registered, 2 do
    local ends = string.match(registered[index + 1], ' %S+$')
    if ends then call('HSET', prefix .. 'processes', registered[index], '0' .. ends) end
  end
  call('HDEL', prefix .. 'meta', 'time')
end

return stopped
