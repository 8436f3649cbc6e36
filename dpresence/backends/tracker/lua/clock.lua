-- The lease clock: the server's clock in milliseconds, corrected for jumps.
-- A step backwards, or one of more than half a lease, counts as no elapsed time: the clock was set, or no process reached the server.
-- Processes renew their leases more often than that, so leases have their full length while any process renews.
local M = {}

-- Return the time of the lease clock.
function M.tick(meta, lease)
  local parts = redis.call('TIME')
  local time = parts[1] * 1000 + math.floor(parts[2] / 1000)
  local known = redis.call('HMGET', meta, 'clock', 'time')
  local clock, step = tonumber(known[1] or time), time - tonumber(known[2] or time)
  if step > 0 and step <= lease / 2 then clock = clock + step end
  redis.call('HSET', meta, 'clock', clock, 'time', time)
  return clock
end

return M
