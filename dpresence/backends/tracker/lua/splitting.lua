-- Steps of the split of a tracker of one partition at one server: see backends/splitting.py and docs/decisions/0074-splitting.md.
-- Each one copies some keys to the partitions, which no process knows of yet. All are idempotent.
-- target: prefix of the keys of a partition; packed: cmsgpack.
local call = redis.call
local stopped = require('stopped')

local function copy(key, target)
  local value, ttl = stopped.dump(key)
  if value then stopped.restore(target, value, ttl) end
end

-- Copy a user's score in a sorted set.
local function copy_score(prefix, target, key, user)
  local score = call('ZSCORE', prefix .. key, user)
  if score then call('ZADD', target .. key, score, user) end
end

-- Return the processes that have devices in a record, some perhaps twice; none of a damaged one, which "records.lua" repairs later.
local function processes_of(key)
  local found, got, text = {}, pcall(call, 'GET', key)
  local read, record = pcall(cmsgpack.unpack, got and text or '')
  local devices = read and type(record) == 'table' and record.devices
  for _, device in pairs(type(devices) == 'table' and devices or {}) do
    if type(device) == 'table' and type(device.process) == 'string' then found[#found + 1] = device.process end
  end
  return found
end

-- Return the steps, by name, for a tracker with this prefix and fence.
local function steps_of(prefix, fence)
  local steps = {}

  -- items: names of keys without the prefix, each with a target
  function steps.copy(packed)
    for _, item in ipairs(cmsgpack.unpack(packed)) do copy(prefix .. item[1], item[2] .. item[1]) end
  end

  -- Copy users, and what the indexes have of them; items: a user and a target each.
  function steps.copy_users(packed)
    for _, item in ipairs(cmsgpack.unpack(packed)) do
      local user, target = unpack(item)
      copy(prefix .. 'user:' .. user, target .. 'user:' .. user)
      copy_score(prefix, target, 'postponed', user)
      for _, process in ipairs(processes_of(prefix .. 'user:' .. user)) do
        call('SADD', target .. 'users:' .. process, user)
        copy_score(prefix, target, 'grace:' .. process, user)
      end
    end
  end

  -- Copy a part of the view of an application; items: a target each, with PUIDs and their entries. The log is not copied: no cursor
  -- of an earlier entry is covered.
  function steps.copy_view(app, packed)
    local head, run = unpack(call('HMGET', prefix .. 'feed:' .. app, 'head', 'run'))
    for _, item in ipairs(cmsgpack.unpack(packed)) do
      local target, entries = unpack(item)
      local feed = target .. 'feed:' .. app
      local added = call('HSET', target .. 'view:' .. app, unpack(entries))
      call('HINCRBY', feed, 'size', added) -- fewer than given if a scan has returned some twice
      call('HSET', feed, 'head', head, 'floor', head, 'run', run or 1)
      call('ZADD', target .. 'feeds', 0, app)
    end
  end

  -- Let a feed be rebuilt, as one that was damaged: see feeds.lua.
  function steps.copy_damaged(app, ...)
    local head = call('HGET', prefix .. 'feed:' .. app, 'head')
    for _, target in ipairs({ ... }) do
      call('HSET', target .. 'feed:' .. app, 'head', head, 'floor', head, 'size', 0, 'damaged', 1)
      call('ZADD', target .. 'feeds', 0, app)
    end
  end

  -- Copy what is known of the data and the processes, last; items: a target and a new epoch each.
  function steps.copy_meta(packed)
    for _, item in ipairs(call('EXISTS', prefix .. 'meta') == 1 and cmsgpack.unpack(packed) or {}) do
      local target, epoch = unpack(item)
      copy(prefix .. 'meta', target .. 'meta')
      call('HSET', target .. 'meta', 'epoch', epoch)
      stopped.resume(fence, target)
    end
  end

  return steps
end

return steps_of
