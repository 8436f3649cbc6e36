-- Operations on devices, and on their grace periods.
local rates, records, context = require('rates'), require('records'), require('batch_context')
local call, me, ticks, STALE = redis.call, context.process, context.ticks, context.STALE
local GRACE_END, SIGN_IN_REVISION = records.GRACE_END, records.SIGN_IN_REVISION
local ERASED = 2 ^ 53 - 1 -- before_revision of a sign-out that signs out every connection until now
local operations = {}

local function is_owned_by(device, connection)
  return not device[GRACE_END] and device.connection == connection and device.process == me
end

local function find_owned(record, name, connection)
  local device = record.devices[name]
  return device and is_owned_by(device, connection) and device or nil
end

-- Return the name of the device that a connection owns.
local function name_of(record, connection)
  for name in pairs(record.devices) do
    if find_owned(record, name, connection) then return name end
  end
end

-- Update the indexes by which sweeps find a user through a process that their devices belong to.
local function index(user, record, process)
  local any, soonest = false, nil
  for _, device in pairs(record.devices) do
    if device.process == process then
      any = true
      if device[GRACE_END] and (not soonest or device[GRACE_END] < soonest) then soonest = device[GRACE_END] end
    end
  end
  call(any and 'SADD' or 'SREM', context.prefix .. 'users:' .. process, user)
  if soonest then
    call('ZADD', context.prefix .. 'grace:' .. process, soonest, user)
  else
    call('ZREM', context.prefix .. 'grace:' .. process, user)
  end
end

-- Store a user's devices, recompute the user's status and, if it changed, append it to the feeds.
--   override: the status that a user with a live device has whatever its own is; '' without one.
local function save_devices(user, record, grants, override, reason)
  local status = 'offline'
  for _, device in pairs(record.devices) do
    if records.RANK[device.status] > records.RANK[status] then status = device.status end
  end
  if override ~= '' and next(record.devices) then status = override end
  local previous = record.status
  record.status = status
  if status ~= previous then rates.append_status(user, record, grants, previous, reason) end
  records.store(user, record)
end

-- Delete the devices for which ``which(name, device)`` is true; return whether there were any.
local function delete_devices(user, grants, revision, override, reason, which)
  local record, at = records.load(user), {}
  if revision < record.revision then return STALE end
  for name, device in pairs(record.devices) do
    if which(name, device) then
      at[device.process] = true
      if reason == 'explicit' and not device[GRACE_END] then
        call('SET', context.prefix .. 'out:' .. device.connection, '', 'EX', context.feed_seconds)
      end
      record.devices[name] = nil
    end
  end
  if not next(at) then return false end
  for process in pairs(at) do index(user, record, process) end
  save_devices(user, record, grants, override, reason)
  return true
end

-- Repair the indexes and feeds of a user who has no device to expire, such as one whose record was lost.
local function repair(user, grants)
  local record = records.load(user)
  index(user, record, me)
  for _, process in ipairs(call('SMEMBERS', context.prefix .. 'dead')) do index(user, record, process) end
  if not next(record.devices) then rates.append_status_at_once(grants, 'offline', 'lost') end
end

local function nameless_in_grace(record)
  local found
  for name, device in pairs(record.devices) do
    if device[GRACE_END] and string.sub(name, 1, 1) == '~' and (not found or name < found) then found = name end
  end
  return found
end

-- Return whether the index lists a device of a user at this process while the user's record has none at all.
local function has_lost_record(user, record)
  return not next(record.devices) and call('SISMEMBER', context.prefix .. 'users:' .. me, user) == 1
end

-- Check some users who have a device at this process and signal those whose record is lost. Return the cursor for the next call.
function operations.find_lost(cursor)
  local after, users = unpack(call('SSCAN', context.prefix .. 'users:' .. me, cursor, 'COUNT', 50))
  for _, user in ipairs(users) do
    if has_lost_record(user, records.load(user)) then context.signal('forgotten ' .. user) end
  end
  return after
end

function operations.connect(user, name, connection, status, grants, revision, override, limit, generated, sign_in_revision)
  local record = records.load(user)
  if revision < record.revision then return STALE end
  -- A connection that retries after a lost reply may already own a device.
  if name == '' then name = name_of(record, connection) or nameless_in_grace(record) or generated end
  local others = 0
  for other, device in pairs(record.devices) do
    if other ~= name and not device[GRACE_END] then others = others + 1 end
  end
  if others >= limit then return false end
  local previous = record.devices[name]
  local own = previous and previous.connection == connection
  local since = own and previous.since or context.now
  record.devices[name] = { status = status, connection = connection, process = me, since = since, signed = sign_in_revision }
  if previous and previous.process ~= me then index(user, record, previous.process) end
  index(user, record, me)
  save_devices(user, record, grants, override, 'explicit')
  local replaced = previous and not own and not previous[GRACE_END] and previous.connection or ''
  return { name, replaced, previous and previous[GRACE_END] and true or false }
end

function operations.update(user, name, connection, status, grants, revision, override, sign_in_revision)
  local record = records.load(user)
  if revision < record.revision then return STALE end
  local device = find_owned(record, name, connection)
  if not device then return false end
  if device.status ~= status or sign_in_revision > (device[SIGN_IN_REVISION] or 0) then
    device.status, device[SIGN_IN_REVISION] = status, math.max(sign_in_revision, device[SIGN_IN_REVISION] or 0)
    save_devices(user, record, grants, override, 'explicit')
  end
  return true
end

function operations.apply_override(user, grants, revision, override)
  local record = records.load(user)
  if revision < record.revision then return STALE end
  record.revision = revision
  save_devices(user, record, grants, override, 'explicit')
end

function operations.leave(user, name, connection)
  local record = records.load(user)
  local device = find_owned(record, name, connection)
  if not device then
    if has_lost_record(user, record) then call('ZADD', context.prefix .. 'grace:' .. me, ticks + context.grace, user) end
    return
  end
  local is_last = next(record.devices, next(record.devices)) == nil
  if device.status == 'offline' and (record.status == 'offline' or not is_last) then
    record.devices[name] = nil
  else
    device.connection, device[GRACE_END] = '', ticks + context.grace
  end
  index(user, record, me)
  records.store(user, record) -- the status stays the same
end

-- End a connection whose "connect" got no reply.
function operations.abandon(user, connection)
  local name = name_of(records.load(user), connection)
  if name then operations.leave(user, name, connection) end
end

-- Seconds for which a sign-out is stored: the default of identity.session_seconds, after which a channel of an earlier sign-in ends itself.
local SIGN_OUT_SECONDS = 43200

-- Record a sign-out of "USER", or of "USER DEVICE": a process that was cut off may have a channel whose device was swept before.
local function record_sign_out(owner, before_revision)
  if before_revision == ERASED then return end
  local key = context.prefix .. 'out:' .. owner
  local newest = math.max(before_revision, tonumber(call('GET', key) or 0))
  call('SET', key, string.format('%.0f', newest), 'EX', SIGN_OUT_SECONDS)
end

-- before_revision: sign the device out only if it signed in before the account had this revision.
-- connection: only if this connection owns it; '' for any or none.
function operations.remove(user, name, grants, revision, override, before_revision, connection)
  local found = delete_devices(user, grants, revision, override, 'explicit', function(other, device)
    local is_it = other == name and (device[SIGN_IN_REVISION] or 0) < before_revision
    return is_it and (connection == '' or is_owned_by(device, connection))
  end)
  if found ~= STALE then record_sign_out(user .. ' ' .. name, before_revision) end
  return found
end

function operations.remove_all(user, grants, revision, override, before_revision)
  local found = delete_devices(user, grants, revision, override, 'explicit', function(_, device)
    return (device[SIGN_IN_REVISION] or 0) < before_revision
  end)
  if found == STALE then return STALE end
  record_sign_out(user, before_revision)
  if records.load(user).status == 'offline' then
    rates.append_status_at_once(grants, 'offline', 'explicit') -- changes a feed only if the record was lost
  end
  return found
end

function operations.signed_out(user, name, connection, sign_in_revision)
  local out = context.prefix .. 'out:'
  local marks = call('MGET', out .. connection, out .. user, out .. user .. ' ' .. name)
  return marks[1] ~= false or math.max(tonumber(marks[2] or 0), tonumber(marks[3] or 0)) > sign_in_revision
end

function operations.devices(user)
  local found = {}
  for name, device in pairs(records.load(user).devices) do
    found[#found + 1] = { name, device.status, not device[GRACE_END], device.since }
  end
  return found
end

-- Return how many devices were deleted because their grace period, and because the lease of their process, had ended.
function operations.expire(user, grants, revision, override)
  local grace, process = 0, 0
  local found = delete_devices(user, grants, revision, override, 'lost', function(_, device)
    if device.process == me then
      local ended = device[GRACE_END] and device[GRACE_END] <= ticks
      grace = grace + (ended and 1 or 0)
      return ended
    end
    local dead = call('HEXISTS', context.processes, device.process) == 0
    process = process + (dead and 1 or 0)
    return dead
  end)
  if found == STALE then return STALE end
  if not found then repair(user, grants) end
  return { grace, process }
end

return operations
