-- Migrates data of an earlier version and executes a batch. Follows "mailbox.lua".

local function adopt(user, id)
  local packed = call('HGET', key('for', user), id)
  if packed then
    local place, _, ends, text = unpack(cmsgpack.unpack(packed))
    add({ { user = user, puid = cjson.decode(text)[3], items = { { id, place, ends, text } } } })
    call('HDEL', key('for', user), id)
  end
  call('ZREM', prefix .. 'ends', user .. ' ' .. id)
end

-- Return whether more data of this user remains to be migrated.
function run.adopt(user)
  for _, id in ipairs(call('HRANDFIELD', key('for', user), SOME)) do adopt(user, id) end
  return call('EXISTS', key('for', user)) == 1
end

-- Migrate some data of any users; return whether more may remain.
function run.adopt_some()
  local some = call('ZRANGE', prefix .. 'ends', 0, SOME - 1)
  for _, one in ipairs(some) do adopt(string.match(one, '^(.*) (%S+)$')) end
  return #some == SOME
end

local function has_earlier(users)
  local keys = {}
  for index, user in ipairs(users) do keys[index] = key('for', user) end
  return #keys > 0 and call('EXISTS', unpack(keys)) > 0
end

local results = {}
for index, operation in ipairs(operations) do
  if has_earlier(operation[2]) then
    results[index] = false
  else
    results[index] = run[operation[1]](unpack(operation, 3))
  end
end
return cmsgpack.pack(results)
