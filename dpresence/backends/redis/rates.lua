-- The rate of a user's changes: docs/protocol.md, section 4. Follows "users.lua".
--   postponed   sorted set of users with a postponed change, by the time of their next token
-- A bucket is represented by the time, by the server's clock, at which it is full. The value is clamped when read, so that a step of
-- the clock gains or loses the tokens of one bucket at most.

local present

-- Return the server's time in milliseconds, the same value for the whole batch.
local function server_time()
  if not present then
    local parts = call('TIME')
    present = parts[1] * 1000 + math.floor(parts[2] / 1000)
  end
  return present
end

-- Take a token; return 0, or the milliseconds until a token is available.
local function take(record)
  local time = server_time()
  local full = math.min(math.max(record.full or 0, time), time + status_window)
  local wait = full + status_interval - time - status_window
  record.full = full
  if wait >= 1 then return math.ceil(wait) end
  record.full = full + status_interval
  return 0
end

-- Return a function that returns whether a change may be appended now: the first call takes a token or postpones the change.
local function allowance(user, record)
  local wait
  return function()
    if not wait then
      wait = take(record)
      if wait > 0 then call('ZADD', prefix .. 'postponed', server_time() + wait, user) end
    end
    return wait == 0
  end
end

-- Append a user's status to the feeds that do not show it, or postpone this; return whether all feeds show it. The caller stores the
-- record.
--   before: the status that applications were sent last, if no change is postponed.
local function tell_status(user, record, grants, before, reason)
  local all, may = true, record.status ~= 'offline' and allowance(user, record) or nil
  for _, grant in ipairs(grants) do
    if not grant[4] then all = show(grant, record.status, reason, may) and all end
  end
  if all then
    record.told, record.reason = nil, nil
  else
    record.told, record.reason = record.told or before, reason
  end
  return all
end

function run.charge(user)
  local record = load(user)
  local wait = take(record)
  store(user, record)
  return wait
end

-- Return users whose postponed change is due. A time further ahead than one token takes was stored before the clock was set back.
function run.postponed()
  local time, key = server_time(), prefix .. 'postponed'
  local found = call('ZRANGEBYSCORE', key, '-inf', time, 'LIMIT', 0, 1000)
  for _, user in ipairs(call('ZRANGEBYSCORE', key, '(' .. time + status_interval, '+inf', 'LIMIT', 0, 1000)) do
    found[#found + 1] = user
  end
  return found
end

function run.tell_postponed(user, grants, revision)
  local record = load(user)
  if revision < record.revision then return STALE end
  -- "offline" is never postponed; or the record is lost and the devices connect again.
  if record.status == 'offline' or tell_status(user, record, grants, record.status, record.reason or 'explicit') then
    call('ZREM', prefix .. 'postponed', user)
  end
  if next(record.devices) then store(user, record) end
end

function run.refresh(user, grant, revision)
  local record = load(user)
  if revision < record.revision then return STALE end
  local status, full = grant[4] and 'offline' or record.told or record.status, record.full
  show(grant, status, 'explicit', status ~= 'offline' and allowance(user, record) or nil)
  if revision > record.revision or full ~= record.full then
    record.revision = revision
    store(user, record)
  end
end
