-- One batch of operations, in order and in one step. What each means: backends/mailbox/__init__.py.
-- ARGV[1], cmsgpack: prefix, operations. Answers cmsgpack: results.
--
--   count          the last position that was given; positions only grow, also after the server lost its data
--   order:USER     sorted set: id by position, of what is to be delivered
--   text:USER      hash: id -> the notification as the caller keeps it, of the same
--   facts:USER     hash: id -> "end puid", also of what is only counted
--   queue:PUID     sorted set: id by position, of all that the application is told to wait
--   ends:PUID      sorted set: id by when it expires (ms), of the same
--   taken:PUID     sorted set: id by when the user got it (ms), of what is only counted
--   queues         sorted set without scores: "USER PUID" of every queue that holds anything
--   due            sorted set: "USER PUID" of the same by when the first of it expires, or earlier
--
-- An earlier version kept other keys, which are taken over when somebody needs what they hold, and by sweeps:
--   for:USER       hash: id -> cmsgpack of position, application, end (ms) and a list in JSON, the PUID its third
--   ends           sorted set: "USER ID" by when it expires
--
-- An operation is its name, the users it is about and its arguments. Its result is false, and nothing happened, while a key
-- of that version is there for one of those users: the caller takes that over ("adopt") and tries again.
-- No operation deals with more than MANY notifications of all its queues together; results say when there is more to do, and the
-- caller goes on. The result UNTIDY says that nothing happened but that FEW notifications were discarded: the caller has the queues
-- tidied ("tidy") and tries again.
-- Keys are made here and not declared: Redis Cluster is out of scope.
local prefix, operations = unpack(cmsgpack.unpack(ARGV[1]))
local call = redis.call
local MANY = 100
local SOME = 20 -- queues of a sweep
local FEW = 10 -- notifications that a push or a count discards before it
local UNTIDY = 'untidy'
local run = {}
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local queues, due = prefix .. 'queues', prefix .. 'due'

local function key(name, owner)
  return prefix .. name .. ':' .. owner
end

local function number(value) -- without an exponent, whatever its size
  return string.format('%.0f', value)
end

-- Forget notifications of a queue that holds others; return how many were still to be delivered.
local function forget(user, puid, ids)
  call('HDEL', key('facts', user), unpack(ids))
  call('HDEL', key('text', user), unpack(ids))
  call('ZREM', key('ends', puid), unpack(ids))
  call('ZREM', key('taken', puid), unpack(ids))
  call('ZREM', key('queue', puid), unpack(ids))
  return call('ZREM', key('order', user), unpack(ids))
end

-- Forget notifications of one queue altogether; return how many were still to be delivered.
local function discard(user, puid, ids)
  if #ids == 0 then return 0 end
  local count = forget(user, puid, ids)
  if call('EXISTS', key('queue', puid)) == 0 then
    call('ZREM', queues, user .. ' ' .. puid)
    call('ZREM', due, user .. ' ' .. puid)
  end
  return count
end

-- Discard notifications of one queue as delivered, but keep counting them; return how many there were.
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

-- Add notifications to one queue: each id, position, end, text; return when the first of them ends.
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

-- Discard up to ``left`` of some notifications of one queue; return how many more may be discarded, nil if some had to stay.
local function discard_some(user, puid, ids, left)
  local more = #ids > left
  if more then ids[#ids] = nil end -- nobody asks for more than one too many
  discard(user, puid, ids)
  if not more then return left - #ids end
end

-- Take out of a queue what has expired, what is counted no longer and what is beyond the limit, up to ``left`` notifications.
-- Return how many more may be discarded and the size of the queue, nil if there is more to do.
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

-- Answers how many of the queues are tidy now. Each: user, PUID, shown until (ms).
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

-- Return items by queue, as "add" takes them, each with its place in the results.
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

-- items: each user, PUID, id, time to live (ms), shown until (ms), text.
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

-- Answers the position behind which to go on, 0 at the end, and each position and text.
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

-- The size of a queue as its application is told.
function run.waiting(user, puid, shown_until)
  local left, size = tidy(user, puid, 0, math.huge, FEW) -- what was taken and has expired would be subtracted twice
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

-- Discard up to so many of a queue; return how many were to be delivered, how many there were, and whether it is empty.
local function purge_some(user, puid, most)
  local ids = call('ZRANGE', key('queue', puid), 0, most - 1)
  local count = discard(user, puid, ids)
  local empty = call('EXISTS', key('queue', puid)) == 0
  if empty then call('ZREM', queues, user .. ' ' .. puid) end
  return count, #ids, empty
end

-- Answers how many were to be delivered, and whether there may be more.
function run.purge(user)
  local queue = call('ZRANGEBYLEX', queues, '[' .. user .. ' ', '(' .. user .. '!', 'LIMIT', 0, 1)[1]
  if not queue then return { 0, false } end
  return { (purge_some(user, string.sub(queue, #user + 2), MANY)), true }
end

-- wanted: each user, PUID. Answers how many were to be delivered, and how many of the queues are dealt with.
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

-- Answers how many have expired, and whether there may be more.
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

-- A server that is full, read-only or without its replicas answers everything but a write.
function run.ping()
  call('SET', prefix .. 'ping', '')
  call('DEL', prefix .. 'ping')
  return true
end
