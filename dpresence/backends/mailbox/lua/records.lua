-- Operations of a backup.
local queues = require('queues')
local call, key, number = redis.call, queues.key, queues.number
local operations = {}

-- Return id, position, end (ms), text and the time (ms) at which the user received it, each false without one, of all in a queue.
function operations.records(user, puid)
  local found, places = {}, call('ZRANGE', key('queue', puid), 0, -1, 'WITHSCORES')
  for index = 1, #places, 2 do
    local id = places[index]
    local facts, received_at = call('HGET', key('facts', user), id), call('ZSCORE', key(queues.RECEIVED, puid), id)
    if facts then
      local ends = tonumber(string.match(facts, '^%d+'))
      local text = call('HGET', key('text', user), id)
      found[#found + 1] = { id, tonumber(places[index + 1]), ends, text, received_at and tonumber(received_at) }
    end
  end
  return found
end

-- items: each with user, PUID, id, position, end (ms), text, and the time (ms) at which the user received it or false.
function operations.restore(items)
  local last = tonumber(call('GET', queues.prefix .. 'count') or 0)
  for _, item in ipairs(items) do
    local user, puid, id, position, ends, text, received_at = unpack(item)
    queues.add({ { user = user, puid = puid, items = { { id, position, ends, text } } } })
    if received_at then queues.mark_received(user, puid, { id }, received_at) end
    last = math.max(last, position)
  end
  call('SET', queues.prefix .. 'count', number(last))
  return #items
end

return operations
