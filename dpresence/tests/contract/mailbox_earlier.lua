-- One batch of operations, in order and in one step. What each means: backends/mailbox/__init__.py.
-- ARGV[1], cmsgpack: prefix, operations. Answers cmsgpack: results.
--
--   count          how many notifications were ever pushed: the order of all of them
--   for:USER       hash: id -> cmsgpack of position, application, end (ms) and what the caller keeps: a list in JSON, the
--                  PUID its third
--   ends           sorted set of "USER ID" by when they expire
-- Keys are made here and not declared: Redis Cluster is out of scope.
local prefix, operations = unpack(cmsgpack.unpack(ARGV[1]))
local call = redis.call
local run = {}

-- Return a user's notifications, oldest first.
local function load(user)
  local found, all = {}, call('HGETALL', prefix .. 'for:' .. user)
  for index = 1, #all, 2 do
    local position, app, ends, kept = unpack(cmsgpack.unpack(all[index + 1]))
    found[#found + 1] = { id = all[index], position = position, app = app, ends = ends, kept = kept }
  end
  table.sort(found, function(one, other) return one.position < other.position end)
  return found
end

local function discard(user, id)
  call('ZREM', prefix .. 'ends', user .. ' ' .. id)
  return call('HDEL', prefix .. 'for:' .. user, id)
end

-- Return by application the ids that wait for a user, oldest first, after what has expired made room.
local function queues_of(user, now)
  local queues = {}
  for _, item in ipairs(load(user)) do
    if item.ends <= now then
      discard(user, item.id)
    else
      queues[item.app] = queues[item.app] or {}
      table.insert(queues[item.app], item.id)
    end
  end
  return queues
end

-- items: each user, id, application, end, kept.
function run.push(items, now, limit)
  local users, sizes = {}, {}
  for index, item in ipairs(items) do
    local user, id, app, ends, kept = unpack(item)
    users[user] = users[user] or queues_of(user, now)
    users[user][app] = users[user][app] or {}
    local queue = users[user][app]
    call('HSET', prefix .. 'for:' .. user, id, cmsgpack.pack({ call('INCR', prefix .. 'count'), app, ends, kept }))
    call('ZADD', prefix .. 'ends', ends, user .. ' ' .. id)
    queue[#queue + 1] = id
    while #queue > limit do discard(user, table.remove(queue, 1)) end
    sizes[index] = #queue
  end
  return sizes
end

function run.pending(user, now)
  local found = {}
  for _, item in ipairs(load(user)) do
    if item.ends > now then found[#found + 1] = item.kept end
  end
  return found
end

function run.waiting(user, app, now)
  local count = 0
  for _, item in ipairs(load(user)) do
    if item.app == app and item.ends > now then count = count + 1 end
  end
  return count
end

function run.settle(user, ids)
  local count = 0
  for _, id in ipairs(ids) do count = count + discard(user, id) end
  return count
end

function run.purge(user)
  local count = 0
  for _, item in ipairs(load(user)) do count = count + discard(user, item.id) end
  return count
end

-- grants: each user, PUID.
function run.purge_grants(grants)
  local count = 0
  for _, grant in ipairs(grants) do
    local user, puid = unpack(grant)
    for _, item in ipairs(load(user)) do
      if cjson.decode(item.kept)[3] == puid then count = count + discard(user, item.id) end
    end
  end
  return count
end

function run.sweep(now, limit)
  local over = call('ZRANGEBYSCORE', prefix .. 'ends', '-inf', now, 'LIMIT', 0, limit)
  for _, one in ipairs(over) do
    local user, id = string.match(one, '^(.*) (%S+)$')
    discard(user, id)
  end
  return #over
end

function run.ping()
  return true
end

local results = {}
for position, operation in ipairs(operations) do
  results[position] = run[operation[1]](unpack(operation, 2))
end
return cmsgpack.pack(results)
