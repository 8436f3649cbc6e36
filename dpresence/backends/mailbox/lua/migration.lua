-- Migrates data of an earlier version; its keys: see batch.lua.
local queues = require('queues')
local call = redis.call
local M = { operations = {} }

local function migrate(user, id)
  local packed = call('HGET', queues.key('for', user), id)
  if packed then
    local place, _, ends, text = unpack(cmsgpack.unpack(packed))
    queues.add({ { user = user, puid = cjson.decode(text)[3], items = { { id, place, ends, text } } } })
    call('HDEL', queues.key('for', user), id)
  end
  call('ZREM', queues.prefix .. 'ends', user .. ' ' .. id)
end

-- Return whether more data of this user remains to be migrated.
function M.operations.migrate(user)
  for _, id in ipairs(call('HRANDFIELD', queues.key('for', user), queues.MAX_PER_SWEEP)) do migrate(user, id) end
  return call('EXISTS', queues.key('for', user)) == 1
end

-- Migrate some data of any users; return whether more may remain.
function M.operations.migrate_some()
  local some = call('ZRANGE', queues.prefix .. 'ends', 0, queues.MAX_PER_SWEEP - 1)
  for _, one in ipairs(some) do migrate(string.match(one, '^(.*) (%S+)$')) end
  return #some == queues.MAX_PER_SWEEP
end

-- Return whether any of these users has data of the earlier version.
function M.has_earlier(users)
  local keys = {}
  for index, user in ipairs(users) do keys[index] = queues.key('for', user) end
  return #keys > 0 and call('EXISTS', unpack(keys)) > 0
end

return M
