-- The feed of one application; the same rules as tracker/feed.py.
--   feeds      sorted set of the applications that have a feed, in order of their ids
--   feed:APP   hash    head: newest offset; floor: entries up to it may be missing; size: number of entries of the view;
--                      damaged: the feed was reset and does not contain every PUID yet
--                      run: number of the server start (see open.lua) after which an entry was added last
--                      turns: the restarts of the server, as pairs: number of the start, newest offset before it; see save_restart
--   view:APP   hash    PUID -> newest entry, for every PUID that is not revoked
--   log:APP    stream  the id of an entry is its offset; beyond feed_entries only the newest entry of each PUID is stored
--   gone:APP   set     revoked PUIDs whose last entry is still in the log; no entry may follow for them
--   dropped:APP        exists for some time after the feed was dropped, and prevents its creation
-- An entry is the text "offset puid status at reason".

local damage, context = require('damage'), require('batch_context')
local call = redis.call
local now, feed_entries = context.now, context.feed_entries

local MAX_RESTARTS = 20 -- maximum number of recorded restarts of a feed
local MAX_ENTRIES_PER_CALL = 500 -- maximum number of entries that one call reads or deletes, which takes one or two milliseconds
local REBUILDING = 'a feed is being rebuilt'

local function number(offset) -- without an exponent for large values
  return string.format('%.0f', offset)
end

local function second(milliseconds)
  return milliseconds - milliseconds % 1000
end

local function decode(text)
  if not text then return nil end
  local offset, puid, status, at, reason = string.match(text, '^(%d+) (%S+) (%S+) (%-?%d+) (%S+)$')
  if not offset then damage.raise('an entry') end
  return { offset = tonumber(offset), puid = puid, status = status, at = tonumber(at), reason = reason }
end

-- Feeds used by the present section; "save_all" saves and forgets them.
--   compacted: up to this offset, entries beyond feed_entries have been reduced to the newest of each PUID.
--   added: the texts of all entries that this section has added, if the process reads the feed and could have read all of them.
local feeds = {}

local function feed(app)
  local found = feeds[app]
  if not found then
    local stored = call('HMGET', context.prefix .. 'feed:' .. app, 'head', 'floor', 'size', 'damaged', 'run', 'turns')
    local head, floor, size, damaged, run, restarts = unpack(stored)
    local has_entries = not head and call('EXISTS', context.prefix .. 'view:' .. app, context.prefix .. 'log:' .. app) > 0
    if has_entries then damage.raise('its head is lost') end
    local base = not head and call('HGET', context.meta, 'base')
    found = { head = tonumber(head or base), floor = tonumber(floor or base), size = tonumber(size or base and 0), damaged = damaged }
    if not (found.head and found.floor and found.size) then damage.raise('its head is no number') end
    found.compacted, found.new = found.head - feed_entries, not head
    found.run, found.restarts = tonumber(run or head and 1 or context.run), restarts or ''
    if found.new and context.run > 1 then found.restarts = context.run .. ' ' .. number(found.head) end -- entries may be lost
    found.dropped = not head and call('EXISTS', context.prefix .. 'dropped:' .. app) == 1
    feeds[app] = found
  end
  return found
end

local function newest(app, puid)
  return decode(call('HGET', context.prefix .. 'view:' .. app, puid))
end

local function id(offset)
  return number(offset) .. '-0'
end

-- Delete entries beyond feed_entries except the newest of each PUID; at most as many as this batch has added.
local function compact(app)
  local found, log = feed(app), context.prefix .. 'log:' .. app
  local limit_offset = found.head - feed_entries
  if limit_offset <= found.compacted then return end
  local page, puids = call('XRANGE', log, '(' .. id(math.max(found.compacted, 0)), id(math.max(limit_offset, 0))), {}
  for index, one in ipairs(page) do puids[index] = decode(one[2][2]).puid end
  local latest, ids = #page > 0 and call('HMGET', context.prefix .. 'view:' .. app, unpack(puids)), {}
  for index, one in ipairs(page) do
    local text = one[2][2]
    if latest[index] ~= text and decode(text).reason ~= 'revoked' then ids[#ids + 1] = one[1] end
  end
  if #ids > 0 then call('XDEL', log, unpack(ids)) end
  found.compacted = limit_offset
end

-- Verify that the keys of a feed are consistent; return the length of its log and the size of its view.
local function check(app)
  local found, length, size = feed(app), call('XLEN', context.prefix .. 'log:' .. app), call('HLEN', context.prefix .. 'view:' .. app)
  if size ~= found.size then damage.raise('its view is lost') end
  -- The newest entries are never deleted; 100 is the minimum of the setting feed_entries.
  if length < math.min(found.head - found.floor, feed_entries, 100) then damage.raise('its log is lost') end
  return length, size
end

-- Record the newest offset before the first entry after a server start, in the stored field "turns". The server may have lost entries
-- with higher offsets, and the processes that knew of them may have ended; a cursor of an earlier start beyond that offset is not covered.
local function save_restart(found)
  local restarts = {}
  for run, head in string.gmatch(found.restarts .. ' ' .. context.run .. ' ' .. number(found.head), '(%d+) (%-?%d+)') do
    restarts[#restarts + 1] = { run = run, head = head }
  end
  if #restarts > MAX_RESTARTS then
    table.remove(restarts, 1)
    restarts[1].head = '-1' -- no cursor of an earlier start is covered
  end
  for index, restart in ipairs(restarts) do restarts[index] = restart.run .. ' ' .. restart.head end
  found.run, found.restarts = context.run, table.concat(restarts, ' ')
end

-- Return whether the entries up to an offset, as they were after a server start (its number: run), are those of this feed.
local function has_same_entries(app, run, offset)
  if run > context.run then return false end
  for later_run, head in string.gmatch(feed(app).restarts, '(%d+) (%-?%d+)') do
    if run < tonumber(later_run) and offset > tonumber(head) then return false end
  end
  return true
end

local function is_too_old(item)
  return item.at < second(now) - context.feed_seconds * 1000
end

local function save(app, found)
  if found.appended then
    compact(app)
    check(app)
  end
  if found.changed and found.new then call('ZADD', context.prefix .. 'feeds', 0, app) end
  if not found.changed then return end
  call('HSET', context.prefix .. 'feed:' .. app, 'head', found.head, 'floor', found.floor, 'size', found.size, 'run', found.run)
  if found.restarts ~= '' then call('HSET', context.prefix .. 'feed:' .. app, 'turns', found.restarts) end
end

local function unlink(app)
  local prefix = context.prefix
  call('UNLINK', prefix .. 'feed:' .. app, prefix .. 'view:' .. app, prefix .. 'log:' .. app, context.revoked .. app)
end

-- Reset a feed. It accepts entries but cannot be read until it is rebuilt: PUIDs without an entry would be shown as offline.
local function reset(app)
  local base = math.max(now, feeds[app] and feeds[app].head or 0) -- above any earlier offset, which invalidates earlier cursors
  feeds[app] = nil
  unlink(app)
  local restarts = context.run > 1 and context.run .. ' ' .. number(base) or ''
  local fields = { 'head', base, 'floor', base, 'size', 0, 'damaged', 1, 'run', context.run, 'turns', restarts }
  call('HSET', context.prefix .. 'feed:' .. app, unpack(fields))
  call('ZADD', context.prefix .. 'feeds', 0, app)
end

-- Make a feed readable again after it was reset and rebuilt.
local function finish_rebuilding(app)
  if call('HDEL', context.prefix .. 'feed:' .. app, 'damaged') == 1 then context.signal('feed ' .. app) end
  if feeds[app] then feeds[app].damaged = nil end
end

-- Delete a feed and prevent its creation for some seconds.
local function drop(app, seconds)
  feeds[app] = nil
  call('ZREM', context.prefix .. 'feeds', app)
  call('SET', context.prefix .. 'dropped:' .. app, '', 'EX', seconds)
  unlink(app)
end

-- Call a function on the feed of an application; if the feed turns out to be damaged, reset it and call the function again.
local function guarded(app, act, ...)
  local done, result = pcall(act, ...)
  if done then return result end
  if damage.is_damage(result) then
    reset(app)
    done, result = pcall(act, ...)
    context.signal_here('damaged ' .. app)
  elseif damage.reason_of(result) == REBUILDING then
    context.signal_here('damaged ' .. app) -- the process that was rebuilding it may have ended
  end
  if not done then error(result, 0) end
  return result
end

-- Save the feeds that the section has used; return the entries that it has added: lists of an application and its new entries.
local function save_all()
  local all, added = {}, {}
  for app in pairs(feeds) do all[#all + 1] = app end
  for _, app in ipairs(all) do
    guarded(app, function() save(app, feed(app)) end)
    if feeds[app].added then added[#added + 1] = { app, unpack(feeds[app].added) } end
  end
  feeds = {}
  return added
end

-- Forget the feeds that the section has used, without saving them.
local function forget_all()
  feeds = {}
end

-- last: the newest entry of the PUID before this one.
local function append(grant, last, status, reason)
  local app, puid, since = grant[1], grant[2], grant[3]
  if not last and call('SISMEMBER', context.revoked .. app, puid) == 1 then return false end
  local found = feed(app)
  if found.dropped then return false end
  if reason == 'revoked' or not grant[5] or found.damaged then
    found.added = nil -- the process reads the feed; before a revocation, for example, there may be entries that are not readable now
  elseif not found.appended then
    found.added = {}
  end
  if found.run < context.run then save_restart(found) end
  found.head, found.appended, found.changed = found.head + 1, true, true
  if reason == 'revoked' then
    found.size = found.size - (last and 1 or 0) -- grants.lua deletes it from the view
  elseif not last then
    found.size = found.size + 1
  end
  local at = second(math.max(now, since, last and last.at or 0))
  local text = table.concat({ found.head, puid, status, at, reason }, ' ')
  call('HSET', context.prefix .. 'view:' .. app, puid, text)
  call('XADD', context.prefix .. 'log:' .. app, id(found.head), 'e', text)
  if found.added then found.added[#found.added + 1] = text end
  if last and last.offset <= found.compacted then call('XDEL', context.prefix .. 'log:' .. app, id(last.offset)) end
  context.signal('feed ' .. app)
  return true
end

-- Add an entry if the status differs from the newest entry. Return whether the feed shows the status now.
--   may: optional function that returns whether a change may be appended now. A feed that is being rebuilt accepts every entry, as it
--   cannot be read yet.
local function show(grant, status, reason, may)
  return guarded(grant[1], function()
    local last = newest(grant[1], grant[2])
    if status == (last and last.status or 'offline') then return true end
    if may and not feed(grant[1]).damaged and not may() then return false end
    append(grant, last, status, reason)
    return true
  end)
end

-- Call a function that reads the feed of an application, as "guarded" does; refuse to while the feed is being rebuilt.
local function guarded_reading(app, act, ...)
  return guarded(app, function(...)
    if feed(app).damaged then error(REBUILDING, 0) end
    return act(app, ...)
  end, ...)
end

return {
  MAX_ENTRIES_PER_CALL = MAX_ENTRIES_PER_CALL,
  decode = decode, feed = feed, newest = newest, id = id, check = check, is_too_old = is_too_old,
  has_same_entries = has_same_entries,
  reset = reset, finish_rebuilding = finish_rebuilding, drop = drop, guarded = guarded, save_all = save_all,
  forget_all = forget_all,
  append = append, show = show, guarded_reading = guarded_reading,
}
