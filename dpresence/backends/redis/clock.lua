-- The lease clock: the server's own clock without its jumps, in milliseconds. Comes first.
-- A step back, or one of more than half a lease, counts as no time at all: the clock was set, or no process reached the server.
-- Every process renews more often than that, so that a lease is as long as it says while somebody renews his.
local function tick(meta, lease)
  local parts = redis.call('TIME')
  local time = parts[1] * 1000 + math.floor(parts[2] / 1000)
  local known = redis.call('HMGET', meta, 'clock', 'time')
  local clock, step = tonumber(known[1] or time), time - tonumber(known[2] or time)
  if step > 0 and step <= lease / 2 then clock = clock + step end
  redis.call('HSET', meta, 'clock', clock, 'time', time)
  return clock
end

