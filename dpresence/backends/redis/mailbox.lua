-- Executes one batch of operations, in order and atomically. Their documentation: backends/mailbox/__init__.py.
-- ARGV[1], cmsgpack: prefix, operations. Returns cmsgpack: results.
--
--   count          the latest position; positions only increase, even after the server has lost data
--   order:USER     sorted set: ids of undelivered notifications by position
--   text:USER      hash: id -> encoded notification, of undelivered notifications
--   facts:USER     hash: id -> "end puid", of undelivered notifications and of those that are only counted
--   queue:PUID     sorted set: ids by position, of all notifications that the application sees as waiting
--   ends:PUID      sorted set: ids of the same notifications by time of expiry (ms)
--   taken:PUID     sorted set: ids of notifications that are only counted, by the time (ms) at which the user received them
--   queues         sorted set without scores: "USER PUID" of every queue that is not empty
--   due            sorted set: "USER PUID" of the same queues by the earliest expiry in the queue, or an earlier time
--
-- An earlier version used other keys. They are migrated when their data is needed, and by sweeps:
--   for:USER       hash: id -> cmsgpack of position, application, end (ms) and a JSON list whose third element is the PUID
--   ends           sorted set: "USER ID" by time of expiry
--
-- An operation consists of its name, the users it concerns and its arguments. While one of these users has a key of the earlier
-- version, the operation changes nothing and its result is false: the caller migrates the key ("adopt") and retries.
-- No operation handles more than MANY notifications of all its queues together; results say whether more remain, and the
-- caller repeats the operation. The result UNTIDY means that the operation only discarded FEW notifications: the caller has to tidy the
-- queues ("tidy") and retry.
-- Keys are computed here and not declared: Redis Cluster is not supported.
local prefix, operations = unpack(cmsgpack.unpack(ARGV[1]))
local call = redis.call
local MANY = 100
local SOME = 20 -- queues handled by one sweep
local FEW = 10 -- maximum number of notifications that a push or a count discards first
local UNTIDY = 'untidy'
local run = {}
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local queues, due = prefix .. 'queues', prefix .. 'due'

local function key(name, owner)
  return prefix .. name .. ':' .. owner
end

local function number(value) -- without an exponent for large values
  return string.format('%.0f', value)
end

-- Delete notifications of a queue that remains non-empty; return how many were undelivered.
local function forget(user, puid, ids)
  call('HDEL', key('facts', user), unpack(ids))
  call('HDEL', key('text', user), unpack(ids))
  call('ZREM', key('ends', puid), unpack(ids))
  call('ZREM', key('taken', puid), unpack(ids))
  call('ZREM', key('queue', puid), unpack(ids))
  return call('ZREM', key('order', user), unpack(ids))
end

-- Delete notifications of one queue; return how many were undelivered.
local function discard(user, puid, ids)
  if #ids == 0 then return 0 end
  local count = forget(user, puid, ids)
  if call('EXISTS', key('queue', puid)) == 0 then
    call('ZREM', queues, user .. ' ' .. puid)
    call('ZREM', due, user .. ' ' .. puid)
  end
  return count
end

-- Mark notifications of one queue as received, delete their text and continue to count them; return how many there were.
local function take(user, puid, ids, at)
  local count = 0
  for _, id in ipairs(ids) do
    if call('ZREM', key('order', user), id) == 1 then
      call('HDEL', key('text', user), id)
      call('ZADD', key('taken', puid), number(at), id)
      count = count + 1
    end
  end
  return count
end

-- Add notifications (id, position, end, text) to one queue; return the earliest expiry.
local function add_to(user, puid, items)
  local facts, texts, places, ends, first = {}, {}, {}, {}, nil
  for index, item in ipairs(items) do
    local id, position, over, text = unpack(item)
    local two, one = 2 * index, 2 * index - 1
    facts[one], facts[two] = id, number(over) .. ' ' .. puid
    texts[one], texts[two] = id, text
    places[one], places[two] = number(position), id
    ends[one], ends[two] = number(over), id
    first = math.min(first or over, over)
  end
  call('HSET', key('facts', user), unpack(facts))
  call('HSET', key('text', user), unpack(texts))
  call('ZADD', key('order', user), unpack(places))
  call('ZADD', key('queue', puid), unpack(places))
  call('ZADD', key('ends', puid), unpack(ends))
  return first
end

-- Add notifications to some queues.
local function add(some)
  local names, firsts = {}, {}
  for index, queue in ipairs(some) do
    local two, one = 2 * index, 2 * index - 1
    names[one], names[two] = 0, queue.user .. ' ' .. queue.puid
    firsts[one], firsts[two] = number(add_to(queue.user, queue.puid, queue.items)), names[two]
  end
  call('ZADD', queues, unpack(names))
  call('ZADD', due, 'LT', unpack(firsts))
end

-- Discard up to ``left`` notifications of one queue; return how many more may be discarded, nil if some remain.
local function discard_some(user, puid, ids, left)
  local more = #ids > left
  if more then ids[#ids] = nil end -- callers pass at most one id too many
  discard(user, puid, ids)
  if not more then return left - #ids end
end

-- Discard notifications of a queue that have expired, are no longer counted or exceed the limit, up to ``left`` notifications.
-- Return how many more may be discarded and the size of the queue; nil if some remain.
local function tidy(user, puid, shown_until, limit, left)
  left = discard_some(user, puid, call('ZRANGEBYSCORE', key('ends', puid), '-inf', now, 'LIMIT', 0, left + 1), left)
  if not left then return nil end
  local before = '(' .. number(shown_until)
  left = discard_some(user, puid, call('ZRANGEBYSCORE', key('taken', puid), '-inf', before, 'LIMIT', 0, left + 1), left)
  if not left then return nil end
  local size = call('ZCARD', key('queue', puid))
  local over = math.min(size - limit, left + 1)
  if over <= 0 then return left, size end
  return discard_some(user, puid, call('ZRANGE', key('queue', puid), 0, over - 1), left), limit
end

-- Return how many of the queues have been tidied. Each queue: user, PUID, shown_until (ms).
function run.tidy(some, limit)
  local left = MANY
  for index, queue in ipairs(some) do
    left = tidy(queue[1], queue[2], queue[3], limit, left)
    if not left then return index - 1 end
  end
  return #some
end

local position
local function next_position()
  position = math.max((position or tonumber(call('GET', prefix .. 'count') or 0)) + 1, time[1] * 1000000 + time[2])
  return position
end

-- Group items by queue in the form that "add" takes, with the position of each item in the results.
local function by_queue(items)
  local found, order = {}, {}
  for index, item in ipairs(items) do
    local user, puid, id, ttl, shown_until, text = unpack(item)
    local queue = found[puid]
    if not queue then
      queue = { user = user, puid = puid, shown_until = shown_until, items = {}, places = {} }
      found[puid] = queue
      order[#order + 1] = queue
    end
    queue.items[#queue.items + 1] = { id, next_position(), now + ttl, text }
    queue.places[#queue.places + 1] = index
  end
  call('SET', prefix .. 'count', number(position))
  return order
end

-- items: each with user, PUID, id, time to live (ms), shown_until (ms), text.
function run.push(items, limit)
  local results, left, some = {}, FEW, by_queue(items)
  for _, queue in ipairs(some) do
    left, queue.size = tidy(queue.user, queue.puid, queue.shown_until, limit, left)
    if not left then return UNTIDY end
    for index, place in ipairs(queue.places) do
      results[place] = { queue.items[index][2], math.min(queue.size + index, limit) }
    end
  end
  add(some)
  for _, queue in ipairs(some) do
    local over = queue.size + #queue.items - limit
    if over > 0 then forget(queue.user, queue.puid, call('ZRANGE', key('queue', queue.puid), 0, over - 1)) end
  end
  return results
end

-- Return the position to continue after (0 at the end), and position and text of each notification.
function run.pending(user, after, limit)
  local found = call('ZRANGEBYSCORE', key('order', user), '(' .. number(after), '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
  if #found == 0 then return { 0, {} } end
  local ids, kept = {}, {}
  for index = 1, #found, 2 do ids[#ids + 1] = found[index] end
  local facts, texts = call('HMGET', key('facts', user), unpack(ids)), call('HMGET', key('text', user), unpack(ids))
  for index in ipairs(ids) do
    local ends = facts[index] and tonumber(string.match(facts[index], '^%d+'))
    if ends and ends > now and texts[index] then kept[#kept + 1] = { tonumber(found[2 * index]), texts[index] } end
  end
  return { #ids == limit and tonumber(found[#found]) or 0, kept }
end

function run.among(user, ids)
  local found = {}
  for index, score in ipairs(call('ZMSCORE', key('order', user), unpack(ids))) do
    if score then found[#found + 1] = ids[index] end
  end
  return found
end

-- Return the size of a queue as its application sees it.
function run.waiting(user, puid, shown_until)
  local left, size = tidy(user, puid, 0, math.huge, FEW) -- otherwise expired entries of "taken" would be subtracted twice
  return left and size - call('ZCOUNT', key('taken', puid), '-inf', '(' .. number(shown_until)) or UNTIDY
end

function run.puids(user, ids)
  local found = {}
  for _, facts in ipairs(call('HMGET', key('facts', user), unpack(ids))) do
    if facts then found[#found + 1] = string.match(facts, ' (.*)$') end
  end
  return found
end

-- unseen: "all", or a list of PUIDs.
function run.settle(user, ids, unseen, at)
  local named, count = {}, 0
  for index, facts in ipairs(call('HMGET', key('facts', user), unpack(ids))) do
    local puid = facts and string.match(facts, ' (.*)$')
    if puid then
      named[puid] = named[puid] or {}
      table.insert(named[puid], ids[index])
    end
  end
  local keep = {}
  if unseen ~= 'all' then
    for _, puid in ipairs(unseen) do keep[puid] = true end
  end
  for puid, some in pairs(named) do
    local hidden = unseen == 'all' or keep[puid]
    count = count + (hidden and take(user, puid, some, at) or not hidden and discard(user, puid, some) or 0)
  end
  return count
end

-- Delete up to ``most`` notifications of a queue; return how many were undelivered, how many there were, and whether it is empty.
local function purge_some(user, puid, most)
  local ids = call('ZRANGE', key('queue', puid), 0, most - 1)
  local count = discard(user, puid, ids)
  local empty = call('EXISTS', key('queue', puid)) == 0
  if empty then call('ZREM', queues, user .. ' ' .. puid) end
  return count, #ids, empty
end

-- Return how many were undelivered, and whether more may remain.
function run.purge(user)
  local queue = call('ZRANGEBYLEX', queues, '[' .. user .. ' ', '(' .. user .. '!', 'LIMIT', 0, 1)[1]
  if not queue then return { 0, false } end
  return { (purge_some(user, string.sub(queue, #user + 2), MANY)), true }
end

-- wanted: user and PUID of each queue. Return how many notifications were undelivered, and how many queues are finished.
function run.purge_queues(wanted)
  local count, left = 0, MANY
  for index, queue in ipairs(wanted) do
    local found, size, empty = purge_some(queue[1], queue[2], left)
    count, left = count + found, left - size
    if not empty then return { count, index - 1 } end
    if left == 0 then return { count, index } end
  end
  return { count, #wanted }
end

function run.queues(after, limit)
  return call('ZRANGEBYLEX', queues, after == ' ' and '-' or '(' .. after, '+', 'LIMIT', 0, limit)
end

-- Return how many have expired, and whether more may remain.
function run.sweep()
  local over, count = call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, SOME), 0
  for _, queue in ipairs(over) do
    if count >= MANY then return { count, true } end
    local user, puid = string.match(queue, '^(.*) (%S+)$')
    local ids = call('ZRANGEBYSCORE', key('ends', puid), '-inf', now, 'LIMIT', 0, MANY)
    discard(user, puid, ids)
    count = count + #ids
    local next = call('ZRANGE', key('ends', puid), 0, 0, 'WITHSCORES')[2]
    if next then call('ZADD', due, next, queue) else call('ZREM', due, queue) end
  end
  return { count, #over > 0 }
end

-- A server that is full, read-only or lacks replicas answers reads but refuses writes.
function run.ping()
  call('SET', prefix .. 'ping', '')
  call('DEL', prefix .. 'ping')
  return true
end
