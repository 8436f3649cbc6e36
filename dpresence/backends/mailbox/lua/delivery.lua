-- Operations that store and deliver notifications.
local queues = require('queues')
local call, key, number, now = redis.call, queues.key, queues.number, queues.now
local MAX_DISCARDED_FIRST = 10 -- maximum number of notifications that storing or counting discards first
local TIDY_FIRST = 'untidy' -- result of an operation that only discarded MAX_DISCARDED_FIRST notifications, because there are more
local operations = {}

-- Return how many of the queues have been tidied. Each queue: user, PUID, shown_until (ms).
function operations.tidy(some, limit)
  local left = queues.MAX_PER_OPERATION
  for index, queue in ipairs(some) do
    left = queues.tidy(queue[1], queue[2], queue[3], limit, left)
    if not left then return index - 1 end
  end
  return #some
end

local position
local function next_position()
  position = math.max((position or tonumber(call('GET', queues.prefix .. 'count') or 0)) + 1, queues.microseconds)
  return position
end

-- Group items by queue. A queue has the places of ``all`` its items; "number_items" adds those that are to be stored.
local function by_queue(items)
  local owners, order = {}, {}
  for index, item in ipairs(items) do
    local user, puid, shown_until = item[1], item[2], item[5]
    local queue = owners[puid]
    if not queue then
      queue = { user = user, puid = puid, shown_until = shown_until, all = {}, items = {}, places = {} }
      owners[puid], order[#order + 1] = queue, queue
    end
    queue.all[#queue.all + 1] = index
  end
  return order, owners
end

-- Add to their queues the items that are not repeated, in the form that "add" takes, and their places in the results.
local function number_items(items, owners, repeated)
  for index, item in ipairs(items) do
    local _, puid, id, ttl, _, text, domain, held = unpack(item, 1, 8)
    local queue = owners[puid]
    if not (repeated and repeated[index]) then
      queue.items[#queue.items + 1] = { id, next_position(), now + ttl, text, domain, held }
      queue.places[#queue.places + 1] = index
    end
  end
  if position then call('SET', queues.prefix .. 'count', number(position)) end
end

-- items: each with user, PUID, id, time to live (ms), shown_until (ms), text, domain, and whether its entry of the inbox is held.
-- keep: store entries of inboxes. controlled: some items also have a topic, an idempotency key, and a digest of the content; "" without.
-- Results: position and size; also the id of a repeated notification, and of a replaced one, if controlled.
function operations.enqueue(items, limit, keep, controlled)
  local control, repeated, reused = controlled and require('control'), nil, nil
  local some, owners = by_queue(items)
  if control then repeated, reused = control.repeated(items, some) end
  if reused then return { reused } end
  local results, left = {}, MAX_DISCARDED_FIRST
  for _, queue in ipairs(some) do
    left, queue.size = queues.tidy(queue.user, queue.puid, queue.shown_until, limit, left)
    if not left then return TIDY_FIRST end
  end
  number_items(items, owners, repeated)
  local replaced = control and control.replace(items, some)
  for _, queue in ipairs(some) do
    for index, place in ipairs(queue.places) do
      results[place] = { queue.items[index][2], math.min(queue.size + index, limit) }
    end
    if repeated then control.complete(items, results, repeated, replaced, queue) end
  end
  if control then
    control.trim_largest()
    some = control.to_store(some)
  end
  if #some > 0 then queues.add(some) end
  if keep then require('inbox').keep(some) end
  for _, queue in ipairs(some) do
    local excess = queue.size + #queue.items - limit
    if excess > 0 then
      local dropped = queues.forget(queue.user, queue.puid, call('ZRANGE', key('queue', queue.puid), 0, excess - 1))
      queues.discarded.dropped = queues.discarded.dropped + dropped
    end
  end
  return results
end

-- Return the position to continue after (0 at the end), and position and text of each notification.
function operations.pending(user, after, limit)
  local found = call('ZRANGEBYSCORE', key('order', user), '(' .. number(after), '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
  if #found == 0 then return { 0, {} } end
  local ids, page = {}, {}
  for index = 1, #found, 2 do ids[#ids + 1] = found[index] end
  local facts, texts = call('HMGET', key('facts', user), unpack(ids)), call('HMGET', key('text', user), unpack(ids))
  for index in ipairs(ids) do
    local ends = facts[index] and tonumber(string.match(facts[index], '^%d+'))
    if ends and ends > now and texts[index] then page[#page + 1] = { tonumber(found[2 * index]), texts[index] } end
  end
  return { #ids == limit and tonumber(found[#found]) or 0, page }
end

function operations.undelivered_ids(user, ids)
  local found = {}
  for index, score in ipairs(call('ZMSCORE', key('order', user), unpack(ids))) do
    if score then found[#found + 1] = ids[index] end
  end
  return found
end

-- Return the size of a queue as its application sees it.
function operations.queue_size(user, puid, shown_until)
  -- Otherwise expired received entries would be subtracted twice.
  local left, size = queues.tidy(user, puid, 0, math.huge, MAX_DISCARDED_FIRST)
  return left and size - call('ZCOUNT', key(queues.RECEIVED, puid), '-inf', '(' .. number(shown_until)) or TIDY_FIRST
end

-- Return the position of the oldest notification that a queue counts.
function operations.first_position(puid)
  local first = call('ZRANGE', key('queue', puid), 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2]) or 0
end

function operations.puids(user, ids)
  local found = {}
  for _, facts in ipairs(call('HMGET', key('facts', user), unpack(ids))) do
    if facts then found[#found + 1] = string.match(facts, ' (.*)$') end
  end
  return found
end

-- offline_to: "all", or a list of PUIDs.
function operations.discard_received(user, ids, offline_to, at)
  local named, count = {}, 0
  for index, facts in ipairs(call('HMGET', key('facts', user), unpack(ids))) do
    local puid = facts and string.match(facts, ' (.*)$')
    if puid then
      named[puid] = named[puid] or {}
      table.insert(named[puid], ids[index])
    end
  end
  local hide = {}
  if offline_to ~= 'all' then
    for _, puid in ipairs(offline_to) do hide[puid] = true end
  end
  for puid, some in pairs(named) do
    local hidden = offline_to == 'all' or hide[puid]
    count = count + (hidden and queues.mark_received(user, puid, some, at) or not hidden and queues.discard(user, puid, some) or 0)
  end
  return count
end

return operations
