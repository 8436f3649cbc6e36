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

-- Take out what is more than the number of entries, but for the newest of each PUID: as many as this batch has added, at most.
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

-- Find out whether the keys of a feed fit together; return how long its log is and how many its view shows.
local function check(app)
  local found, length, size = feed(app), call('XLEN', prefix .. 'log:' .. app), call('HLEN', prefix .. 'view:' .. app)
  if size ~= found.size then damaged('its view is lost') end
  -- The newest ones are always there; 100 is the least that the setting allows.
  if length < math.min(found.head - found.floor, feed_entries, 100) then damaged('its log is lost') end
  return length, size
end

local SOME = 500 -- entries that one call reads or forgets, one or two milliseconds; the next goes on

local function is_too_old(item)
  return item.at < second(now) - feed_seconds * 1000
end

-- Forget what is too old, or too much even of the newest of each; return whether there may be more.
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
  signal('feed ' .. app)
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

-- Return whether nothing after an offset is missing or too old.
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

-- Answers the newest offset, some of the view and the cursor behind them, "0" at its end. The view changes between two calls.
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

-- Return, for each entry of a page of a log, whether its PUID is revoked.
local function among_gone(app, page)
  local gone, found, puids = prefix .. 'gone:' .. app, {}, {}
  if #page == 0 or call('SCARD', gone) == 0 then return found end
  for index, one in ipairs(page) do puids[index] = entry(one[2][2]).puid end
  for index, is in ipairs(call('SMISMEMBER', gone, unpack(puids))) do found[index] = is == 1 end
  return found
end

local unread = SOME -- entries that this batch may still read

-- Answers entries and the offset behind which to go on, false at the end of the log.
function run.read(app, offset, limit)
  if not covers(app, offset) then return false end
  local most = math.min(limit, unread)
  if most == 0 then return { '', offset } end
  local page, found = call('XRANGE', prefix .. 'log:' .. app, '(' .. id(offset), '+', 'COUNT', most), {}
  unread = unread - #page
  local is_gone = among_gone(app, page)
  for index, one in ipairs(page) do
    local text = one[2][2]
    -- What came before a revocation goes with its time: to search the log for it would take too long.
    if not is_gone[index] or entry(text).reason == 'revoked' then found[#found + 1] = text end
  end
  return { table.concat(found, '\n'), #page == most and tonumber(string.match(page[most][1], '^%d+')) }
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
