-- The feed of one application; the same rules as tracker/feed.py. Follows "batch.lua".
--   feeds      sorted set of the applications that have a feed, in order of their ids
--   feed:APP   hash    head: newest offset; floor: entries up to it may be missing; size: number of entries of the view;
--                      damaged: the feed was reset and does not contain every PUID yet
--   view:APP   hash    PUID -> newest entry, for every PUID that is not revoked
--   log:APP    stream  the id of an entry is its offset; beyond feed_entries only the newest entry of each PUID is stored
--   gone:APP   set     revoked PUIDs whose last entry is still in the log; no entry may follow for them
--   dropped:APP        exists for some time after the feed was dropped, and prevents its creation
-- An entry is the text "offset puid status at reason".

local function second(milliseconds)
  return milliseconds - milliseconds % 1000
end

local DAMAGED, REBUILDING = 'a feed is damaged: ', 'a feed is being rebuilt'

local function damaged(what)
  error(DAMAGED .. what, 0)
end

-- Return the text of an error, which Redis 7 raises as a table.
local function reason_of(failure)
  return type(failure) == 'table' and tostring(failure.err) or tostring(failure)
end

local function entry(text)
  if not text then return nil end
  local offset, puid, status, at, reason = string.match(text, '^(%d+) (%S+) (%S+) (%-?%d+) (%S+)$')
  if not offset then damaged('an entry') end
  return { offset = tonumber(offset), puid = puid, status = status, at = tonumber(at), reason = reason }
end

-- Feeds used by this batch; "finish" saves them.
--   settled: up to this offset, entries beyond feed_entries have been reduced to the newest of each PUID.
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

-- Delete entries beyond feed_entries except the newest of each PUID; at most as many as this batch has added.
local function settle(app)
  local found, log = feed(app), prefix .. 'log:' .. app
  local falling = found.head - feed_entries
  if falling <= found.settled then return end
  local page, puids = call('XRANGE', log, '(' .. id(math.max(found.settled, 0)), id(math.max(falling, 0))), {}
  for index, one in ipairs(page) do puids[index] = entry(one[2][2]).puid end
  local newest, ids = #page > 0 and call('HMGET', prefix .. 'view:' .. app, unpack(puids)), {}
  for index, one in ipairs(page) do
    local text = one[2][2]
    if newest[index] ~= text and entry(text).reason ~= 'revoked' then ids[#ids + 1] = one[1] end
  end
  if #ids > 0 then call('XDEL', log, unpack(ids)) end
  found.settled = falling
end

-- Verify that the keys of a feed are consistent; return the length of its log and the size of its view.
local function check(app)
  local found, length, size = feed(app), call('XLEN', prefix .. 'log:' .. app), call('HLEN', prefix .. 'view:' .. app)
  if size ~= found.size then damaged('its view is lost') end
  -- The newest entries are never deleted; 100 is the minimum of the setting feed_entries.
  if length < math.min(found.head - found.floor, feed_entries, 100) then damaged('its log is lost') end
  return length, size
end

local SOME = 500 -- maximum number of entries that one call reads or deletes, which takes one or two milliseconds

local function is_too_old(item)
  return item.at < second(now) - feed_seconds * 1000
end

-- Delete entries that are too old or exceed even the limit of newest entries; return whether more may remain.
local function trim(app)
  local found, log, length, size = feed(app), prefix .. 'log:' .. app, check(app)
  local too_many = length - 2 * feed_entries - size
  local first = call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  if not first or too_many <= 0 and not is_too_old(entry(first[2][2])) then return false end
  local ids, gone = {}, {}
  for _, one in ipairs(call('XRANGE', log, '-', '+', 'COUNT', SOME)) do
    local item = entry(one[2][2])
    if #ids >= too_many and not is_too_old(item) then break end
    ids[#ids + 1] = one[1]
    if item.reason == 'revoked' then gone[#gone + 1] = item.puid end
    found.floor, found.changed = item.offset, true
  end
  call('XDEL', log, unpack(ids))
  if #gone > 0 then call('SREM', prefix .. 'gone:' .. app, unpack(gone)) end
  return #ids == SOME
end

local function save(app, found)
  if found.appended then
    settle(app)
    check(app)
  end
  if found.changed and found.new then call('ZADD', prefix .. 'feeds', 0, app) end
  if found.changed then call('HSET', prefix .. 'feed:' .. app, 'head', found.head, 'floor', found.floor, 'size', found.size) end
end

-- Reset a feed. It accepts entries but cannot be read until it is rebuilt: PUIDs without an entry would be shown as offline.
local function reset(app)
  local base = math.max(now, feeds[app] and feeds[app].head or 0) -- above any earlier offset, which invalidates earlier cursors
  feeds[app] = nil
  call('UNLINK', prefix .. 'feed:' .. app, prefix .. 'view:' .. app, prefix .. 'log:' .. app, prefix .. 'gone:' .. app)
  call('HSET', prefix .. 'feed:' .. app, 'head', base, 'floor', base, 'size', 0, 'damaged', 1)
  call('ZADD', prefix .. 'feeds', 0, app)
end

-- Return whether an error means that a key has wrong content, as opposed to a server that refuses writes.
local function is_damage(reason)
  for _, sign in ipairs({ DAMAGED, 'WRONGTYPE', 'equal or smaller' }) do
    if string.find(reason, sign, 1, true) then return true end
  end
  return false
end

-- Call a function on the feed of an application; if the feed turns out to be damaged, reset it and call the function again.
local function guarded(app, act, ...)
  local done, result = pcall(act, ...)
  if done then return result end
  if is_damage(reason_of(result)) then
    reset(app)
    done, result = pcall(act, ...)
    alarm('damaged ' .. app)
  elseif reason_of(result) == REBUILDING then
    alarm('damaged ' .. app) -- the process that was rebuilding it may have ended
  end
  if not done then error(result, 0) end
  return result
end

function finish()
  local all = {}
  for app in pairs(feeds) do all[#all + 1] = app end
  for _, app in ipairs(all) do guarded(app, function() save(app, feed(app)) end) end
end

-- last: the newest entry of the PUID before this one.
local function append(grant, last, status, reason)
  local app, puid, since = grant[1], grant[2], grant[3]
  if not last and call('SISMEMBER', prefix .. 'gone:' .. app, puid) == 1 then return false end
  local found = feed(app)
  if found.dropped then return false end
  found.head, found.appended, found.changed = found.head + 1, true, true
  if reason == 'revoked' then
    found.size = found.size - (last and 1 or 0) -- run.revoked deletes it from the view
  elseif not last then
    found.size = found.size + 1
  end
  local at = second(math.max(now, since, last and last.at or 0))
  local text = table.concat({ found.head, puid, status, at, reason }, ' ')
  call('HSET', prefix .. 'view:' .. app, puid, text)
  call('XADD', prefix .. 'log:' .. app, id(found.head), 'e', text)
  if last and last.offset <= found.settled then call('XDEL', prefix .. 'log:' .. app, id(last.offset)) end
  signal('feed ' .. app)
  return true
end

-- Add an entry if the status differs from the newest entry. Return whether the feed shows the status now.
--   may: optional function that returns whether a change may be appended now. A feed that is being rebuilt accepts every entry, as it
--   cannot be read yet.
local function show(grant, status, reason, may)
  return guarded(grant[1], function()
    local last = shown(grant[1], grant[2])
    if status == (last and last.status or 'offline') then return true end
    if may and not feed(grant[1]).damaged and not may() then return false end
    append(grant, last, status, reason)
    return true
  end)
end

-- Return whether no entry after an offset is missing or too old.
local function covers(app, offset)
  check(app)
  local found = feed(app)
  if offset < found.floor or offset > found.head then return false end
  local first = call('XRANGE', prefix .. 'log:' .. app, '(' .. id(offset), '+', 'COUNT', 1)[1]
  return not (first and is_too_old(entry(first[2][2])))
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

-- Return the newest offset, part of the view and the next cursor ("0" at the end). The view may change between two calls.
function run.snapshot(app, cursor)
  check(app)
  local after, page = unpack(call('HSCAN', prefix .. 'view:' .. app, cursor, 'COUNT', SOME))
  local found = {}
  for index = 2, #page, 2 do found[#found + 1] = page[index] end
  return { feed(app).head, table.concat(found, '\n'), after }
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

-- Return, for each entry of a page of the log, whether its PUID is revoked.
local function among_gone(app, page)
  local gone, found, puids = prefix .. 'gone:' .. app, {}, {}
  if #page == 0 or call('SCARD', gone) == 0 then return found end
  for index, one in ipairs(page) do puids[index] = entry(one[2][2]).puid end
  for index, is in ipairs(call('SMISMEMBER', gone, unpack(puids))) do found[index] = is == 1 end
  return found
end

local unread = SOME -- number of entries that this batch may still read

-- Return entries and the offset to continue after, false at the end of the log.
function run.read(app, offset, limit)
  if not covers(app, offset) then return false end
  local most = math.min(limit, unread)
  if most == 0 then return { '', offset } end
  local page, found = call('XRANGE', prefix .. 'log:' .. app, '(' .. id(offset), '+', 'COUNT', most), {}
  unread = unread - #page
  local is_gone = among_gone(app, page)
  for index, one in ipairs(page) do
    local text = one[2][2]
    -- Skip entries before a revocation. They stay in the log until they are too old, as searching for them would take too long.
    if not is_gone[index] or entry(text).reason == 'revoked' then found[#found + 1] = text end
  end
  return { table.concat(found, '\n'), #page == most and tonumber(string.match(page[most][1], '^%d+')) }
end

function run.applications(after, limit)
  return call('ZRANGEBYLEX', prefix .. 'feeds', '(' .. after, '+', 'LIMIT', 0, limit)
end

-- Reset a feed whose entries cannot be decoded.
function run.damaged(app)
  reset(app)
  alarm('damaged ' .. app)
end

-- Make a feed readable again after it was reset and rebuilt.
function run.rebuilt(app)
  if call('HDEL', prefix .. 'feed:' .. app, 'damaged') == 1 then signal('feed ' .. app) end
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

-- Any operation that finds a damaged feed resets it.
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
