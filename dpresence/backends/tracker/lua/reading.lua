-- Operations that read and maintain feeds.
local feeds, context = require('feeds'), require('batch_context')
local call, MAX_ENTRIES_PER_CALL = redis.call, feeds.MAX_ENTRIES_PER_CALL
local operations = {}

-- Delete entries that are too old or exceed even the limit of newest entries; return whether more may remain.
local function trim(app)
  local found, log, length, size = feeds.feed(app), context.prefix .. 'log:' .. app, feeds.check(app)
  local too_many = length - 2 * context.feed_entries - size
  local first = call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  if not first or too_many <= 0 and not feeds.is_too_old(feeds.decode(first[2][2])) then return false end
  local ids, revoked = {}, {}
  for _, one in ipairs(call('XRANGE', log, '-', '+', 'COUNT', MAX_ENTRIES_PER_CALL)) do
    local item = feeds.decode(one[2][2])
    if #ids >= too_many and not feeds.is_too_old(item) then break end
    ids[#ids + 1] = one[1]
    if item.reason == 'revoked' then revoked[#revoked + 1] = item.puid end
    found.floor, found.changed = item.offset, true
  end
  call('XDEL', log, unpack(ids))
  if #revoked > 0 then call('SREM', context.revoked .. app, unpack(revoked)) end
  return #ids == MAX_ENTRIES_PER_CALL
end

-- Return whether no entry after an offset is missing or too old.
local function covers(app, offset)
  feeds.check(app)
  local found = feeds.feed(app)
  if offset < found.floor or offset > found.head then return false end
  local first = call('XRANGE', context.prefix .. 'log:' .. app, '(' .. feeds.id(offset), '+', 'COUNT', 1)[1]
  return not (first and feeds.is_too_old(feeds.decode(first[2][2])))
end

-- Return the epoch and the newest offset.
function operations.head(app, epoch)
  feeds.check(app)
  return { epoch, feeds.feed(app).head }
end

-- Return part of the view and the next cursor ("0" at the end). The view may change between two calls.
function operations.view(app, _, cursor)
  feeds.check(app)
  local after, page = unpack(call('HSCAN', context.prefix .. 'view:' .. app, cursor, 'COUNT', MAX_ENTRIES_PER_CALL))
  local found = {}
  for index = 2, #page, 2 do found[#found + 1] = page[index] end
  return { table.concat(found, '\n'), after }
end

function operations.latest(app, puids)
  local found = {}
  for first = 1, #puids, 1000 do
    for _, text in ipairs(call('HMGET', context.prefix .. 'view:' .. app, unpack(puids, first, math.min(first + 999, #puids)))) do
      if text then found[#found + 1] = text end
    end
  end
  return table.concat(found, '\n')
end

function operations.covers(app, _, offset, run)
  return feeds.has_same_entries(app, run, offset) and covers(app, offset)
end

-- Return, for each entry of a page of the log, whether its PUID is revoked.
local function find_revoked(app, page)
  local revoked, found, puids = context.revoked .. app, {}, {}
  if #page == 0 or call('SCARD', revoked) == 0 then return found end
  for index, one in ipairs(page) do puids[index] = feeds.decode(one[2][2]).puid end
  for index, is in ipairs(call('SMISMEMBER', revoked, unpack(puids))) do found[index] = is == 1 end
  return found
end

local unread = MAX_ENTRIES_PER_CALL -- number of entries that this batch may still read

-- Return entries and the offset to continue after, false at the end of the log.
function operations.read(app, _, offset, limit)
  if not covers(app, offset) then return false end
  local most = math.min(limit, unread)
  if most == 0 then return { '', offset } end
  local page, found = call('XRANGE', context.prefix .. 'log:' .. app, '(' .. feeds.id(offset), '+', 'COUNT', most), {}
  unread = unread - #page
  local is_revoked = find_revoked(app, page)
  for index, one in ipairs(page) do
    local text = one[2][2]
    -- Skip entries before a revocation. They stay in the log until they are too old, as searching for them would take too long.
    if not is_revoked[index] or feeds.decode(text).reason == 'revoked' then found[#found + 1] = text end
  end
  return { table.concat(found, '\n'), #page == most and tonumber(string.match(page[most][1], '^%d+')) }
end

function operations.applications(after, limit)
  return call('ZRANGEBYLEX', context.prefix .. 'feeds', '(' .. after, '+', 'LIMIT', 0, limit)
end

-- Reset a feed whose entries cannot be decoded.
function operations.damaged(app)
  feeds.reset(app)
  context.signal_here('damaged ' .. app)
end

function operations.rebuilt(app)
  feeds.finish_rebuilding(app)
end

function operations.trim(app)
  return feeds.guarded(app, function() return not feeds.feed(app).new and trim(app) end)
end

function operations.drop(app, seconds)
  feeds.drop(app, seconds)
end

for _, name in ipairs({ 'head', 'view', 'latest', 'covers', 'read' }) do
  local read = operations[name]
  operations[name] = function(app, ...) return feeds.guarded_reading(app, read, ...) end
end

-- Return the newest entry of each PUID in the feed of the application at the same place in the other list, '' without one.
function operations.latest_of(apps, puids)
  local found = {}
  for index, app in ipairs(apps) do found[index] = operations.latest(app, { puids[index] }) end
  return found
end

-- These take the epoch of the offset or the cursor that follows, '' at the start, and return false if the present one is another.
for _, name in ipairs({ 'head', 'view', 'covers', 'read' }) do
  local read = operations[name]
  operations[name] = function(app, epoch, ...)
    local present = call('HGET', context.meta, 'epoch')
    return (epoch == '' or epoch == present) and read(app, present, ...)
  end
end

return operations
