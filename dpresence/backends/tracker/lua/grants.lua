-- Operations on grants.
local feeds, rates, records, context = require('feeds'), require('rates'), require('records'), require('batch_context')
local call = redis.call
local operations = {}

local function append_grant(user, grant, revision)
  if not records.raise_revision(user, revision) then return context.STALE end
  local last, status = feeds.newest(grant[1], grant[2]), records.visible(grant, records.load(user))
  if not last or last.reason ~= 'granted' or last.status ~= status then feeds.append(grant, last, status, 'granted') end
end

local function append_revocation(user, grant, revision)
  if revision > 0 then records.raise_revision(user, revision) end
  if feeds.append(grant, feeds.newest(grant[1], grant[2]), 'offline', 'revoked') then
    call('HDEL', context.prefix .. 'view:' .. grant[1], grant[2])
    call('SADD', context.revoked .. grant[1], grant[2])
  end
end

-- A damaged feed is reset, see feeds.lua.
function operations.append_grant(user, grant, revision)
  return feeds.guarded(grant[1], append_grant, user, grant, revision)
end

function operations.append_revocation(user, grant, revision)
  return feeds.guarded(grant[1], append_revocation, user, grant, revision)
end

function operations.append_current_status(user, grant, revision)
  local record = records.load(user)
  if revision < record.revision then return context.STALE end
  local status, full = records.visible(grant, record), record.full
  feeds.show(grant, status, 'explicit', status ~= 'offline' and rates.allowance(user, record) or nil)
  if revision > record.revision or full ~= record.full then
    record.revision = revision
    records.store(user, record)
  end
end

function operations.forget_revision(user)
  local record = records.load(user)
  record.revision = 0
  records.store(user, record)
end

return operations
