-- Topics, idempotency keys and cancels; the keys are described in batch.lua.
-- What concerns several items of a queue is one command for all of them: commands are what an operation costs.
local queues = require('queues')
local call, key, number, now = redis.call, queues.key, queues.number, queues.now
local MAX_NAMES = 500 -- maximum number of topics, and of idempotency keys, of a grant
local SLACK = 100 -- names beyond the maximum that are deleted together
local MAX_TRIMMED = 1000 -- maximum number of names that one script deletes
local KEY_MS = 86400000 -- time for which an idempotency key is remembered
local CLAIM_MS = 30000 -- time that the steps of one call take at most
local TOPIC, KEY, DIGEST = 9, 10, 11 -- places in an item
local M = { operations = {} }

-- Return position, id and digest of the last notification of some names, by the place of the name; nil where there is none.
local function recall(kind, puid, names)
  local found = {}
  for index, value in ipairs(call('HMGET', key(kind, puid), unpack(names))) do
    local ends, place, id, digest = string.match(value or '', '^(%d+) (%d+) (%S+) ?(.*)$')
    if ends and tonumber(ends) > now then found[index] = { tonumber(place), id, digest } end
  end
  return found
end

-- Return a name of each of some items, "" for an item without one: nothing is stored under it. Return also whether any has one.
local function names_of(items, places, field)
  local names, any = {}, false
  for order, index in ipairs(places) do
    names[order] = items[index][field] or ''
    any = any or names[order] ~= ''
  end
  return names, any
end

-- Delete the oldest names of a hash beyond the maximum: those up to the position of the last one of these.
local function trim(hash)
  local pairs_of, places, sorted, oldest = call('HGETALL', hash), {}, {}, {}
  for index = 2, #pairs_of, 2 do
    places[index / 2] = tonumber(string.match(pairs_of[index], '^%d+ (%d+)'))
    sorted[index / 2] = places[index / 2]
  end
  table.sort(sorted)
  local last = sorted[math.min(#sorted - MAX_NAMES, MAX_TRIMMED)]
  for index, place in ipairs(places) do
    if place <= last then oldest[#oldest + 1] = pairs_of[2 * index - 1] end
  end
  call('HDEL', hash, unpack(oldest))
end

-- The largest hash that is over the limit, and its size. One hash in a batch is trimmed, because that takes longest; were it another one
-- than the largest, an application could let a hash grow by always trimming another one.
local largest, largest_size = nil, MAX_NAMES + SLACK - 1

-- Store names, a list of name and value in turn, of which the last one ends in ``lasts`` ms.
local function remember(kind, puid, names, lasts)
  if #names == 0 then return end
  local hash = key(kind, puid)
  local added = call('HSET', hash, unpack(names))
  call('PEXPIRE', hash, math.max(lasts, call('PTTL', hash)))
  local size = added > 0 and call('HLEN', hash) or 0
  if size > largest_size then largest, largest_size = hash, size end
end

function M.trim_largest()
  if largest then trim(largest) end
end

-- Return which of some notifications are in the queue of a PUID, by their place, and the list of these.
local function in_queue(user, puid, ids)
  local found, mine = {}, {}
  for index, facts in ipairs(call('HMGET', key('facts', user), unpack(ids))) do
    found[index] = facts and string.match(facts, ' (.*)$') == puid
    if found[index] then mine[#mine + 1] = ids[index] end
  end
  return found, mine
end

-- Find earlier notifications that items repeat: position and id, by the place of the item.
-- Return them, or nil and a key that was used for other content.
function M.repeated(items, some)
  local repeated = {}
  for _, queue in ipairs(some) do
    local names, any = names_of(items, queue.all, KEY)
    local found, claimed = any and recall('key', queue.puid, names) or {}, any and recall('claim', queue.puid, names) or {}
    for order, index in ipairs(queue.all) do
      local first = found[order] or claimed[order]
      if first and first[3] ~= items[index][DIGEST] then return nil, items[index][KEY] end
      repeated[index] = found[order]
    end
  end
  return repeated
end

-- Delete notifications of a queue to which others will be added, and their entries of the inbox unless they were read.
-- Subtract them from the size of the queue; return which there were, by their place.
local function replace_some(queue, ids)
  local queued, mine = in_queue(queue.user, queue.puid, ids)
  if #mine > 0 then queues.forget(queue.user, queue.puid, mine) end
  queue.size = queue.size - #mine
  local unread = require('inbox').withdraw(queue.user, queue.puid, ids)
  for index in ipairs(ids) do queued[index] = queued[index] or unread[index] end
  return queued
end

-- Delete what new items replace; return the ids by the place of the new item.
function M.replace(items, some)
  local replaced = {}
  for _, queue in ipairs(some) do
    local places, ids = {}, {}
    local found = #queue.places > 0 and recall('topic', queue.puid, names_of(items, queue.places, TOPIC)) or {}
    for order, index in ipairs(queue.places) do
      if found[order] then places[#places + 1], ids[#ids + 1] = index, found[order][2] end
    end
    local deleted = #ids > 0 and replace_some(queue, ids) or {}
    for order, index in ipairs(places) do replaced[index] = deleted[order] and ids[order] or nil end
  end
  return replaced
end

-- Add to the results of a queue what is repeated and replaced, and remember the names of its new items.
function M.complete(items, results, repeated, replaced, queue)
  for _, index in ipairs(queue.all) do
    local earlier = repeated[index]
    if earlier then results[index] = { earlier[1], queue.size, earlier[2] } end
  end
  local topics, keys, lasts = {}, {}, 0
  for order, index in ipairs(queue.places) do
    local _, _, id, ttl, _, _, _, _, topic, name, digest = unpack(items[index], 1, DIGEST)
    local place = ' ' .. number(queue.items[order][2]) .. ' ' .. id
    if replaced[index] then results[index][3], results[index][4] = '', replaced[index] end
    if topic and topic ~= '' then
      topics[#topics + 1], topics[#topics + 2], lasts = topic, number(now + ttl) .. place, math.max(lasts, ttl)
    end
    if name and name ~= '' then keys[#keys + 1], keys[#keys + 2] = name, number(now + KEY_MS) .. place .. ' ' .. digest end
  end
  remember('topic', queue.puid, topics, lasts)
  remember('key', queue.puid, keys, KEY_MS)
  local names, any = names_of(items, queue.all, KEY)
  if any then call('HDEL', key('claim', queue.puid), unpack(names)) end
end

-- Return the queues to which items are added.
function M.to_store(some)
  local found = {}
  for _, queue in ipairs(some) do
    if #queue.items > 0 then found[#found + 1] = queue end
  end
  return found
end

function M.purge(puid)
  call('DEL', key('topic', puid), key('key', puid), key('claim', puid))
end

-- Claim the keys of notifications that are stored in several steps: until these are over, no other content can be stored with them.
-- grants: PUID, keys and digests of each. Return the first key that was used, or is claimed, for other content; "" if all are claimed.
function M.operations.claim(grants)
  local claims, ends = {}, number(now + CLAIM_MS) .. ' 0 - '
  for place, grant in ipairs(grants) do
    local puid, names, digests = unpack(grant, 1, 3)
    local found, claimed = recall('key', puid, names), recall('claim', puid, names)
    claims[place] = {}
    for order, name in ipairs(names) do
      local first = found[order] or claimed[order]
      if first and first[3] ~= digests[order] then return name end
      claims[place][2 * order - 1], claims[place][2 * order] = name, ends .. digests[order]
    end
  end
  for place, grant in ipairs(grants) do
    call('HSET', key('claim', grant[1]), unpack(claims[place]))
    call('PEXPIRE', key('claim', grant[1]), CLAIM_MS)
  end
  return ''
end

function M.operations.cancel(user, puid, id)
  local queued, mine = in_queue(user, puid, { id })
  queues.discard(user, puid, mine)
  local inbox = require('inbox')
  local unread = inbox.belongs(user, puid, id) and inbox.withdraw(user, puid, { id })[1]
  return (queued[1] or unread) and 1 or 0
end

return M
