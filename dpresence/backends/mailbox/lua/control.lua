-- Topics, idempotency keys and cancels; the keys are described in batch.lua.
local queues = require('queues')
local call, key, number, now = redis.call, queues.key, queues.number, queues.now
local MAX_NAMES = 500 -- maximum number of topics, and of idempotency keys, of a grant
local SLACK = 100 -- names beyond the maximum that are deleted together
local KEY_MS = 86400000 -- time for which an idempotency key is remembered
local M = { operations = {} }

-- Return position, id and digest of the notification of a name, nil if there is none.
local function recall(kind, puid, name)
  local value = name and name ~= '' and call('HGET', key(kind, puid), name)
  if not value then return nil end
  local ends, place, id, digest = string.match(value, '^(%d+) (%d+) (%S+) ?(.*)$')
  if tonumber(ends) > now then return tonumber(place), id, digest end
end

-- Delete the oldest names of a hash beyond the maximum.
local function trim(hash)
  local found, pairs_of = {}, call('HGETALL', hash)
  for index = 1, #pairs_of, 2 do
    found[#found + 1] = { tonumber(string.match(pairs_of[index + 1], '^%d+ (%d+)')), pairs_of[index] }
  end
  table.sort(found, function(one, other) return one[1] < other[1] end)
  for index = 1, #found - MAX_NAMES do call('HDEL', hash, found[index][2]) end
end

-- The largest hash that is over the limit, and its size. One hash in a batch is trimmed, because that takes longest; were it another one
-- than the largest, an application could let a hash grow by always trimming another one.
local largest, largest_size = nil, MAX_NAMES + SLACK - 1
local function remember(kind, puid, name, lasts, value)
  local hash = key(kind, puid)
  call('HSET', hash, name, number(now + lasts) .. ' ' .. value)
  call('PEXPIRE', hash, math.max(lasts, call('PTTL', hash)))
  local size = call('HLEN', hash)
  if size > largest_size then largest, largest_size = hash, size end
end

function M.trim_largest()
  if largest then trim(largest) end
end

-- Delete a notification of a PUID from its queue, and from the inbox unless it was read.
-- Return whether it was in the queue, and whether there was anything.
local function withdraw(user, puid, id)
  local facts = call('HGET', key('facts', user), id)
  local queued = facts and string.match(facts, ' (.*)$') == puid
  if queued then queues.discard(user, puid, { id }) end
  local unread = require('inbox').withdraw(user, puid, id)
  return queued, queued or unread
end

-- Return position and id of earlier notifications, by the place of the item that repeats it, and a key that was used for other content.
function M.repeated(items)
  local found = {}
  for index, item in ipairs(items) do
    local place, id, digest = recall('key', item[2], item[10])
    if place and digest ~= item[11] then return nil, item[10] end
    if place then found[index] = { place, id } end
  end
  return found
end

-- Delete what new items replace, and subtract it from the sizes of their queues; return the ids by the place of the new item.
function M.replace(items, some)
  local found = {}
  for _, queue in ipairs(some) do
    for _, index in ipairs(queue.places) do
      local place, id = recall('topic', queue.puid, items[index][9])
      if place then
        local queued, any = withdraw(queue.user, queue.puid, id)
        if queued then queue.size = queue.size - 1 end
        if any then found[index] = id end
      end
    end
  end
  return found
end

-- Add to the results of a queue what is repeated and replaced, and remember the names of its new items.
function M.complete(items, results, repeated, replaced, queue)
  for index, item in ipairs(items) do
    if item[2] == queue.puid and repeated[index] then
      results[index] = { repeated[index][1], queue.size, repeated[index][2] }
    end
  end
  for order, index in ipairs(queue.places) do
    local item, place = items[index], number(queue.items[order][2])
    if replaced[index] then results[index][3], results[index][4] = '', replaced[index] end
    if item[9] and item[9] ~= '' then remember('topic', item[2], item[9], item[4], place .. ' ' .. item[3]) end
    if item[10] and item[10] ~= '' then remember('key', item[2], item[10], KEY_MS, place .. ' ' .. item[3] .. ' ' .. item[11]) end
  end
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
  call('DEL', key('topic', puid), key('key', puid))
end

function M.operations.cancel(user, puid, id)
  local _, any = withdraw(user, puid, id)
  return any and 1 or 0
end

return M
