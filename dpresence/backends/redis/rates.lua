-- The rate of a user's changes: docs/protocol.md, section 4. Comes after "users.lua".
--   postponed   sorted set of users by when they have a token, of those whose present status not every application was told
-- A bucket is one time by the server's clock: "full", when it has every token again. It is read within bounds, so that a clock that
-- is set back or forward takes or gives the tokens of one bucket at the most.

local present

-- Return the server's time in milliseconds, the same for the whole batch.
local function server_time()
  if not present then
    local parts = call('TIME')
    present = parts[1] * 1000 + math.floor(parts[2] / 1000)
  end
  return present
end

-- Take a token; return 0, or the milliseconds until there is one.
local function take(record)
  local time = server_time()
  local full = math.min(math.max(record.full or 0, time), time + status_window)
  local wait = full + status_interval - time - status_window
  record.full = full
  if wait >= 1 then return math.ceil(wait) end
  record.full = full + status_interval
  return 0
end

-- Return a function that says whether a status may be told now: takes one token however often it is asked, or notes the user.
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

-- Tell those who may know a user's status and do not, or postpone it; return whether all know it. The caller stores the record.
--   before: what they were told last, if nothing is postponed.
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

-- Find users whose time has come. One that is further away than a token takes was noted before the clock was set back.
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
  -- "offline" was told at once, or the record is lost and the devices connect again.
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
