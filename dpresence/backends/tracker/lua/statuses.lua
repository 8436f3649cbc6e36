-- Operations on the status of a user, and on the rate of its changes.
local rates, records, context = require('rates'), require('records'), require('batch_context')
local call = redis.call
local operations = { sent_status = records.sent_status }

function operations.status(user)
  return records.load(user).status
end

function operations.charge(user)
  local record = records.load(user)
  local wait = rates.take(record)
  records.store(user, record)
  return wait
end

-- Return users whose postponed change is due. A time further ahead than one token takes was stored before the clock was set back.
function operations.postponed()
  local time, key = rates.server_time(), context.prefix .. 'postponed'
  local found = call('ZRANGEBYSCORE', key, '-inf', time, 'LIMIT', 0, 1000)
  for _, user in ipairs(call('ZRANGEBYSCORE', key, '(' .. time + context.status_interval, '+inf', 'LIMIT', 0, 1000)) do
    found[#found + 1] = user
  end
  return found
end

function operations.append_postponed(user, grants, revision)
  local record = records.load(user)
  if revision < record.revision then return context.STALE end
  -- "offline" is never postponed; or the record is lost and the devices connect again.
  if record.status == 'offline' or rates.append_status(user, record, grants, record.status, record.reason or 'explicit') then
    call('ZREM', context.prefix .. 'postponed', user)
  end
  if next(record.devices) then records.store(user, record) end
end

return operations
