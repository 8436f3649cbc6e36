-- The rate of a user's changes: docs/protocol.md, section 4.
--   postponed   sorted set of users with a postponed change, by the time of their next token
-- A bucket is represented by the time, by the server's clock, at which it is full. The value is clamped when read, so that a step of
-- the clock gains or loses the tokens of one bucket at most.

local feeds, records, context = require('feeds'), require('records'), require('batch_context')
local SENT_STATUS = records.SENT_STATUS

local present

-- Return the server's time in milliseconds, the same value for the whole batch.
local function server_time()
  if not present then
    local parts = redis.call('TIME')
    present = parts[1] * 1000 + math.floor(parts[2] / 1000)
  end
  return present
end

-- Take a token; return 0, or the milliseconds until a token is available.
local function take(record)
  local time = server_time()
  local full = math.min(math.max(record.full or 0, time), time + context.status_window)
  local wait = full + context.status_interval - time - context.status_window
  record.full = full
  if wait >= 1 then return math.ceil(wait) end
  record.full = full + context.status_interval
  return 0
end

-- Return a function that returns whether a change may be appended now: the first call takes a token or postpones the change.
local function allowance(user, record)
  local wait
  return function()
    if not wait then
      wait = take(record)
      if wait > 0 then redis.call('ZADD', context.prefix .. 'postponed', server_time() + wait, user) end
    end
    return wait == 0
  end
end

-- Append a user's status to the feeds that do not show it, or postpone this; return whether all feeds show it. The caller stores the
-- record.
--   previous: the status that applications were sent last, if no change is postponed.
local function append_status(user, record, grants, previous, reason)
  local all, may = true, record.status ~= 'offline' and allowance(user, record) or nil
  for _, grant in ipairs(grants) do
    local status = records.shown(grant, record.status)
    if not grant[4] then all = feeds.show(grant, status, reason, status ~= 'offline' and may or nil) and all end
  end
  if all then
    record[SENT_STATUS], record.reason = nil, nil
  else
    record[SENT_STATUS], record.reason = record[SENT_STATUS] or previous, reason
  end
  return all
end

-- Append a status to the feeds that do not show it, without a limit.
local function append_status_at_once(grants, status, reason)
  for _, grant in ipairs(grants) do
    if not grant[4] then feeds.show(grant, status, reason) end
  end
end

return {
  server_time = server_time, take = take, allowance = allowance, append_status = append_status,
  append_status_at_once = append_status_at_once,
}
