-- Operations that delete notifications, and that list the queues.
local queues = require('queues')
local call = redis.call
local operations = {}

-- Delete up to ``most`` notifications of a queue; return how many were undelivered, how many there were, and whether it is empty.
local function purge_some(user, puid, most)
  local ids = call('ZRANGE', queues.key('queue', puid), 0, most - 1)
  local count = queues.discard(user, puid, ids)
  local empty = call('EXISTS', queues.key('queue', puid)) == 0
  if empty then call('ZREM', queues.queues, user .. ' ' .. puid) end
  return count, #ids, empty
end

-- Return how many were undelivered, and whether more may remain.
function operations.purge(user)
  local queue = call('ZRANGEBYLEX', queues.queues, '[' .. user .. ' ', '(' .. user .. '!', 'LIMIT', 0, 1)[1]
  if not queue then return { 0, false } end
  require('control').purge(string.sub(queue, #user + 2))
  return { (purge_some(user, string.sub(queue, #user + 2), queues.MAX_PER_OPERATION)), true }
end

-- wanted: user and PUID of each queue. Return how many notifications were undelivered, and how many queues are finished.
function operations.purge_queues(wanted)
  local count, left = 0, queues.MAX_PER_OPERATION
  for index, queue in ipairs(wanted) do
    require('control').purge(queue[2])
    left = left - require('inbox').purge_held(queue[1], queue[2], left)
    if left == 0 then return { count, index - 1 } end
    local found, size, empty = purge_some(queue[1], queue[2], left)
    count, left = count + found, left - size
    if not empty then return { count, index - 1 } end
    if left == 0 then return { count, index } end
  end
  return { count, #wanted }
end

function operations.queues(after, limit)
  return call('ZRANGEBYLEX', queues.queues, after == ' ' and '-' or '(' .. after, '+', 'LIMIT', 0, limit)
end

-- Return how many notifications of some queues are undelivered, and the last of these queues, false at the end.
function operations.count_undelivered(after, limit)
  local some, count = operations.queues(after, limit), 0
  for _, queue in ipairs(some) do
    local puid = string.match(queue, '(%S+)$')
    count = count + call('ZCARD', queues.key('queue', puid)) - call('ZCARD', queues.key(queues.RECEIVED, puid))
  end
  return { count, #some == limit and some[limit] }
end

-- Return how many have expired, and whether more may remain.
function operations.sweep()
  local overdue, count = call('ZRANGEBYSCORE', queues.due, '-inf', queues.now, 'LIMIT', 0, queues.MAX_PER_SWEEP), 0
  for _, queue in ipairs(overdue) do
    if count >= queues.MAX_PER_OPERATION then return { count, true } end
    local user, puid = string.match(queue, '^(.*) (%S+)$')
    local ids = call('ZRANGEBYSCORE', queues.key('ends', puid), '-inf', queues.now, 'LIMIT', 0, queues.MAX_PER_OPERATION)
    queues.discarded.expired = queues.discarded.expired + queues.discard(user, puid, ids)
    count = count + #ids
    local next = call('ZRANGE', queues.key('ends', puid), 0, 0, 'WITHSCORES')[2]
    if next then call('ZADD', queues.due, next, queue) else call('ZREM', queues.due, queue) end
  end
  return { count, #overdue > 0 }
end

-- A server that is full, read-only or lacks replicas answers reads but refuses writes.
function operations.ping()
  call('SET', queues.prefix .. 'ping', '')
  call('DEL', queues.prefix .. 'ping')
  return true
end

return operations
