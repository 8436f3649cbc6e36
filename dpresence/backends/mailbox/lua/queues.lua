-- The queues of notifications: their keys (see batch.lua), adding and discarding.
local call, time = redis.call, redis.call('TIME')

local prefix, operations = unpack(cmsgpack.unpack(ARGV[1]))
local queues, due = prefix .. 'queues', prefix .. 'due'
local microseconds = time[1] * 1000000 + time[2]
local now = time[1] * 1000 + math.floor(time[2] / 1000) -- ms
local MAX_PER_OPERATION = 100 -- maximum number of notifications that one operation handles
local MAX_PER_SWEEP = 20 -- maximum number of queues, or of entries that have expired, that one sweep handles

local RECEIVED = 'taken' -- name of the key with the notifications that are only counted

local function key(name, owner)
  return prefix .. name .. ':' .. owner
end

local function number(value) -- without an exponent for large values
  return string.format('%.0f', value)
end

local discarded = { expired = 0, dropped = 0 } -- undelivered notifications that this script has discarded, by reason

-- Delete notifications of a queue that remains non-empty; return how many were undelivered.
local function forget(user, puid, ids)
  call('HDEL', key('facts', user), unpack(ids))
  call('HDEL', key('text', user), unpack(ids))
  call('ZREM', key('ends', puid), unpack(ids))
  call('ZREM', key('queue', puid), unpack(ids))
  local count = call('ZREM', key('order', user), unpack(ids))
  if count < #ids then call('ZREM', key(RECEIVED, puid), unpack(ids)) end
  return count
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
local function mark_received(user, puid, ids, at)
  local count = 0
  for _, id in ipairs(ids) do
    if call('ZREM', key('order', user), id) == 1 then
      call('HDEL', key('text', user), id)
      call('ZADD', key(RECEIVED, puid), number(at), id)
      count = count + 1
    end
  end
  return count
end

-- Add notifications (id, position, end, text) to one queue; return the earliest expiry.
local function add_to(user, puid, items)
  local facts, texts, places, ends, first = {}, {}, {}, {}, nil
  for index, item in ipairs(items) do
    local id, position, ends_at, text = unpack(item)
    local two, one = 2 * index, 2 * index - 1
    facts[one], facts[two] = id, number(ends_at) .. ' ' .. puid
    texts[one], texts[two] = id, text
    places[one], places[two] = number(position), id
    ends[one], ends[two] = number(ends_at), id
    first = math.min(first or ends_at, ends_at)
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

-- Discard up to ``left`` notifications of one queue for a reason; return how many more may be discarded, nil if some remain.
local function discard_some(reason, user, puid, ids, left)
  local more = #ids > left
  if more then ids[#ids] = nil end -- callers pass at most one id too many
  discarded[reason] = discarded[reason] + discard(user, puid, ids)
  if not more then return left - #ids end
end

-- Discard notifications of a queue that have expired, are no longer counted or exceed the limit, up to ``left`` notifications.
-- Return how many more may be discarded and the size of the queue; nil if some remain.
local function tidy(user, puid, shown_until, limit, left)
  left = discard_some('expired', user, puid, call('ZRANGEBYSCORE', key('ends', puid), '-inf', now, 'LIMIT', 0, left + 1), left)
  if not left then return nil end
  local earlier = '(' .. number(shown_until)
  left = discard_some('expired', user, puid, call('ZRANGEBYSCORE', key(RECEIVED, puid), '-inf', earlier, 'LIMIT', 0, left + 1), left)
  if not left then return nil end
  local size = call('ZCARD', key('queue', puid))
  local excess = math.min(size - limit, left + 1)
  if excess <= 0 then return left, size end
  return discard_some('dropped', user, puid, call('ZRANGE', key('queue', puid), 0, excess - 1), left), limit
end

return {
  prefix = prefix, operations = operations, queues = queues, due = due, microseconds = microseconds, now = now,
  MAX_PER_OPERATION = MAX_PER_OPERATION, MAX_PER_SWEEP = MAX_PER_SWEEP, RECEIVED = RECEIVED, key = key, number = number, forget = forget,
  discard = discard, mark_received = mark_received, add = add, tidy = tidy, discarded = discarded,
}
