-- The record of a user; see batch.lua.
local damage, context = require('damage'), require('batch_context')
local call = redis.call

-- Fields of a stored record whose names are older than the terms of this code.
local SENT_STATUS = 'told' -- while a change is postponed: the status last sent to applications
local GRACE_END = 'over' -- of a device in grace, in ticks of its process
local SIGN_IN_REVISION = 'signed' -- of a device

local RANK = { offline = 0, unavailable = 1, online = 2 }

local function is_record(record)
  if type(record) ~= 'table' or not RANK[record.status] or type(record.devices) ~= 'table' then return false end
  for _, device in pairs(record.devices) do
    if type(device) ~= 'table' or not RANK[device.status] or type(device.process) ~= 'string' then return false end
  end
  return true
end

-- Return a user's record. One that cannot be decoded is deleted, and the user's devices connect again.
local function load(user)
  local key = context.prefix .. 'user:' .. user
  local got, text = pcall(call, 'GET', key)
  if not got and not damage.is_damage(text) then error(text, 0) end
  if got and not text then return { status = 'offline', devices = {}, revision = 0 } end
  local read, record = pcall(cmsgpack.unpack, text)
  if got and read and is_record(record) then
    record.revision = record.revision or 0
    return record
  end
  call('UNLINK', key)
  context.signal('forgotten ' .. user)
  return { status = 'offline', devices = {}, revision = 0 }
end

-- Store a record. One without devices is stored for a while: calls with grants older than its revision may still arrive,
-- and the user's bucket must not be full when they return.
local function store(user, record)
  local key, seconds = context.prefix .. 'user:' .. user, 0
  if record.revision > 0 then seconds = context.feed_seconds end
  if record.full then seconds = math.max(seconds, math.ceil(context.status_window / 1000)) end
  if next(record.devices) then
    call('SET', key, cmsgpack.pack(record))
  elseif seconds > 0 then
    call('SET', key, cmsgpack.pack(record), 'EX', seconds)
  else
    call('DEL', key)
  end
end

-- Store a newer revision of an account; return whether the given revision is not older than the newest one seen.
local function raise_revision(user, revision)
  local record = load(user)
  if revision > record.revision then
    record.revision = revision
    store(user, record)
  end
  return revision >= record.revision
end

-- Return the status that applications were sent last.
local function sent_status(user)
  local record = load(user)
  return record[SENT_STATUS] or record.status
end

-- Return what an application is shown while its user has a status; see tracker/redis_values.py, EncodedGrant.
local function shown(grant, status)
  if grant[4] or grant[6] and status == 'unavailable' then return 'offline' end
  return status
end

-- Return what an application is to be shown of a user now.
local function visible(grant, record)
  if shown(grant, record.status) == 'offline' then return 'offline' end -- it is never postponed
  return shown(grant, record[SENT_STATUS] or record.status)
end

return {
  SENT_STATUS = SENT_STATUS, GRACE_END = GRACE_END, SIGN_IN_REVISION = SIGN_IN_REVISION,
  RANK = RANK, load = load, store = store, raise_revision = raise_revision, sent_status = sent_status,
  shown = shown, visible = visible,
}
