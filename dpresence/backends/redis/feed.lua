-- The feed of one application; the same rules as tracker/feed.py. Comes after "batch.lua" has set the scene.
--   feeds      sorted set of the applications that have a feed, in order of their ids
--   feed:APP   hash    head: newest offset; floor: an entry at or below it may be missing; size: how many the view has;
--                      damaged: it was begun anew and does not show everybody yet
--   view:APP   hash    PUID -> newest entry, of every live PUID
--   log:APP    stream  one entry each, its id is its offset; beyond their number only the newest of each PUID stay
--   gone:APP   set     revoked PUIDs whose last entry is still in the log; nothing may follow for them
--   dropped:APP        for some time after the feed was dropped: it is not made again
-- An entry is the text "offset puid status at reason".

local function second(milliseconds)
  return milliseconds - milliseconds % 1000
end

local DAMAGED, REBUILDING = 'a feed is damaged: ', 'a feed is being rebuilt'

local function damaged(what)
  error(DAMAGED .. what, 0)
end

-- Return an error as a text; Redis 7 has tables.
local function reason_of(failure)
  return type(failure) == 'table' and tostring(failure.err) or tostring(failure)
end

local function entry(text)
  if not text then return nil end
  local offset, puid, status, at, reason = string.match(text, '^(%d+) (%S+) (%S+) (%-?%d+) (%S+)$')
  if not offset then damaged('an entry') end
  return { offset = tonumber(offset), puid = puid, status = status, at = tonumber(at), reason = reason }
end

-- The feeds this batch has looked at; "finish" keeps what became of them.
--   settled: beyond the number of entries, up to this offset only the newest of each PUID are left.
local feeds = {}

local function feed(app)
  local found = feeds[app]
  if not found then
    local head, floor, size, anew = unpack(call('HMGET', prefix .. 'feed:' .. app, 'head', 'floor', 'size', 'damaged'))
    if not head and call('EXISTS', prefix .. 'view:' .. app, prefix .. 'log:' .. app) > 0 then damaged('its head is lost') end
    local base = not head and call('HGET', meta, 'base')
    found = { head = tonumber(head or base), floor = tonumber(floor or base), size = tonumber(size or base and 0), damaged = anew }
    if not (found.head and found.floor and found.size) then damaged('its head is no number') end
    found.settled, found.new = found.head - feed_entries, not head
    found.dropped = not head and call('EXISTS', prefix .. 'dropped:' .. app) == 1
    feeds[app] = found
  end
  return found
end

local function shown(app, puid)
  return entry(call('HGET', prefix .. 'view:' .. app, puid))
end

local function id(offset)
  return string.format('%.0f-0', offset)
end

-- Take out what is more than the number of entries, but for the newest of each PUID.
local function settle(app)
  local found, log = feed(app), prefix .. 'log:' .. app
  local falling = found.head - feed_entries
  if falling <= found.settled then return end
  for _, one in ipairs(call('XRANGE', log, '(' .. id(math.max(found.settled, 0)), id(math.max(falling, 0)))) do
    local item = entry(one[2][2])
    local newest = item.reason ~= 'revoked' and shown(app, item.puid)
    if newest ~= false and not (newest and newest.offset == item.offset) then call('XDEL', log, one[1]) end
  end
  found.settled = falling
end

local MOST = 1000 -- entries that one call forgets, a few milliseconds; the next goes on

-- Forget what is too old, or too much even of the newest of each; return whether there may be more.
local function trim(app)
  settle(app)
  local found, log = feed(app), prefix .. 'log:' .. app
  local length, size = call('XLEN', log), call('HLEN', prefix .. 'view:' .. app)
  if size ~= found.size then damaged('its view is lost') end
  -- The newest ones are always there; 100 is the least that the setting allows.
  if length < math.min(found.head - found.floor, feed_entries, 100) then damaged('its log is lost') end
  local too_many = length - 2 * feed_entries - size
  local since = second(now) - feed_seconds * 1000
  for _ = 1, MOST do
    local first = call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
    local item = first and entry(first[2][2])
    if not item or (too_many <= 0 and item.at >= since) then return false end
    call('XDEL', log, first[1])
    if item.reason == 'revoked' then call('SREM', prefix .. 'gone:' .. app, item.puid) end
    found.floor, found.changed = item.offset, true
    too_many = too_many - 1
  end
  return true
end

local function save(app, found)
  if found.appended then trim(app) end
  if found.changed and found.new then call('ZADD', prefix .. 'feeds', 0, app) end
  if found.changed then call('HSET', prefix .. 'feed:' .. app, 'head', found.head, 'floor', found.floor, 'size', found.size) end
end

-- Begin a feed anew. It takes entries, but nobody reads it until it was rebuilt: people would look offline who are not.
local function reset(app)
  local base = math.max(now, feeds[app] and feeds[app].head or 0) -- above any offset of old, so that no old cursor goes on
  feeds[app] = nil
  call('UNLINK', prefix .. 'feed:' .. app, prefix .. 'view:' .. app, prefix .. 'log:' .. app, prefix .. 'gone:' .. app)
  call('HSET', prefix .. 'feed:' .. app, 'head', base, 'floor', base, 'size', 0, 'damaged', 1)
  call('ZADD', prefix .. 'feeds', 0, app)
end

-- Return whether an error says that a key is not what it should be, and not that the server takes no writes.
local function is_damage(reason)
  for _, sign in ipairs({ DAMAGED, 'WRONGTYPE', 'equal or smaller' }) do
    if string.find(reason, sign, 1, true) then return true end
  end
  return false
end

-- Do something with the feed of an application, and once more when it has to begin anew for it.
local function guarded(app, act, ...)
  local done, result = pcall(act, ...)
  if done then return result end
  if is_damage(reason_of(result)) then
    reset(app)
    done, result = pcall(act, ...)
    alarm('damaged ' .. app)
  elseif reason_of(result) == REBUILDING then
    alarm('damaged ' .. app) -- who was at it may be gone
  end
  if not done then error(result, 0) end
  return result
end

function finish()
  local all = {}
  for app in pairs(feeds) do all[#all + 1] = app end
  for _, app in ipairs(all) do guarded(app, function() save(app, feed(app)) end) end
end

-- last: the newest entry of the PUID.
local function append(grant, last, status, reason)
  local app, puid, since = grant[1], grant[2], grant[3]
  if not last and call('SISMEMBER', prefix .. 'gone:' .. app, puid) == 1 then return false end
  local found = feed(app)
  if found.dropped then return false end
  found.head, found.appended, found.changed = found.head + 1, true, true
  if reason == 'revoked' then
    found.size = found.size - (last and 1 or 0) -- who revokes takes it out of the view
  elseif not last then
    found.size = found.size + 1
  end
  local at = second(math.max(now, since, last and last.at or 0))
  local text = table.concat({ found.head, puid, status, at, reason }, ' ')
  call('HSET', prefix .. 'view:' .. app, puid, text)
  call('XADD', prefix .. 'log:' .. app, id(found.head), 'e', text)
  if last and last.offset <= found.settled then call('XDEL', prefix .. 'log:' .. app, id(last.offset)) end
  wake('feed ' .. app)
  return true
end

-- Add an entry if the status is news. Return whether the application knows it now.
--   may: says whether news may be told now, if that depends. A feed that is being rebuilt takes everything: nobody reads it yet.
local function show(grant, status, reason, may)
  return guarded(grant[1], function()
    local last = shown(grant[1], grant[2])
    if status == (last and last.status or 'offline') then return true end
    if may and not feed(grant[1]).damaged and not may() then return false end
    append(grant, last, status, reason)
    return true
  end)
end

local function covers(app, offset)
  trim(app)
  local found = feed(app)
  return found.floor <= offset and offset <= found.head
end

function run.granted(user, grant, revision)
  if not raise_revision(user, revision) then return STALE end
  local last, status = shown(grant[1], grant[2]), grant[4] and 'offline' or told_of(user)
  if not last or last.reason ~= 'granted' or last.status ~= status then append(grant, last, status, 'granted') end
end

function run.revoked(user, grant, revision)
  if revision > 0 then raise_revision(user, revision) end
  if append(grant, shown(grant[1], grant[2]), 'offline', 'revoked') then
    call('HDEL', prefix .. 'view:' .. grant[1], grant[2])
    call('SADD', prefix .. 'gone:' .. grant[1], grant[2])
  end
end

function run.snapshot(app)
  local all = call('HVALS', prefix .. 'view:' .. app)
  if #all ~= feed(app).size then damaged('its view is lost') end
  return { feed(app).head, table.concat(all, '\n') }
end

function run.latest(app, puids)
  local found = {}
  for first = 1, #puids, 1000 do
    for _, text in ipairs(call('HMGET', prefix .. 'view:' .. app, unpack(puids, first, math.min(first + 999, #puids)))) do
      if text then found[#found + 1] = text end
    end
  end
  return table.concat(found, '\n')
end

function run.covers(app, offset)
  return covers(app, offset)
end

function run.read(app, offset, limit)
  if not covers(app, offset) then return false end
  local log, gone = prefix .. 'log:' .. app, prefix .. 'gone:' .. app
  local some_gone = call('SCARD', gone) > 0
  local found = {}
  local after = id(offset)
  repeat
    local page = call('XRANGE', log, '(' .. after, '+', 'COUNT', limit)
    for _, one in ipairs(page) do
      local text = one[2][2]
      local item = some_gone and entry(text)
      -- What came before a revocation goes with its time: to search the log for it would take too long.
      local kept = not item or item.reason == 'revoked' or call('SISMEMBER', gone, item.puid) == 0
      if kept and #found < limit then found[#found + 1] = text end
      after = one[1]
    end
  until #page < limit or #found >= limit
  return table.concat(found, '\n')
end

function run.applications(after, limit)
  return call('ZRANGEBYLEX', prefix .. 'feeds', '(' .. after, '+', 'LIMIT', 0, limit)
end

-- Begin a feed anew whose entries cannot be read.
function run.damaged(app)
  reset(app)
  alarm('damaged ' .. app)
end

-- Let a feed be read again that was begun anew.
function run.rebuilt(app)
  if call('HDEL', prefix .. 'feed:' .. app, 'damaged') == 1 then wake('feed ' .. app) end
  if feeds[app] then feeds[app].damaged = nil end
end

function run.trim(app)
  return not feed(app).new and trim(app)
end

function run.drop(app, seconds)
  feeds[app] = nil
  call('ZREM', prefix .. 'feeds', app)
  call('SET', prefix .. 'dropped:' .. app, '', 'EX', seconds)
  call('UNLINK', prefix .. 'feed:' .. app, prefix .. 'view:' .. app, prefix .. 'log:' .. app, prefix .. 'gone:' .. app)
end

-- A damaged feed is begun anew by whoever finds it.
for _, name in ipairs({ 'granted', 'revoked' }) do
  local change = run[name]
  run[name] = function(user, grant, ...) return guarded(grant[1], change, user, grant, ...) end
end
for _, name in ipairs({ 'snapshot', 'latest', 'covers', 'read', 'trim' }) do
  local look = run[name]
  run[name] = function(app, ...)
    return guarded(app, function(...)
      if feed(app).damaged and name ~= 'trim' then error(REBUILDING, 0) end
      return look(app, ...)
    end, ...)
  end
end
