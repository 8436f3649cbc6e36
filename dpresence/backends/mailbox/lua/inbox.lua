-- The inboxes: their keys are described in batch.lua.
-- Storing a notification executes the same commands for an entry that is held as for one that is shown.
local queues = require('queues')
local call, key, number, now, MAX_PER_OPERATION = redis.call, queues.key, queues.number, queues.now, queues.MAX_PER_OPERATION
local inboxes, held = queues.prefix .. 'inboxes', queues.prefix .. 'held'
local M = { operations = {} }
local operations = M.operations

-- Add members with scores to a sorted set: a list of score and member in turn.
local function add(name, members, option)
  if #members > 0 then call('ZADD', name, option or 'CH', unpack(members)) end
end

-- Store entries of one grant, each: id, position, text, domain, held_until (ms), which is 0 for one that is shown.
local function keep(user, puid, entries)
  local values, shown, hidden, ends = {}, {}, {}, {}
  for index, entry in ipairs(entries) do
    local id, position, text, domain, held_until = unpack(entry)
    local places = held_until > 0 and hidden or shown
    values[2 * index - 1], values[2 * index] = id, number(held_until) .. ' ' .. puid .. ' ' .. domain .. ' ' .. text
    places[#places + 1], places[#places + 2] = number(position), id
    if held_until > 0 then ends[#ends + 1], ends[#ends + 2] = number(held_until), user .. ' ' .. puid .. ' ' .. id end
  end
  if #values > 0 then call('HSET', key('kept', user), unpack(values)) end
  add(key('inbox', user), shown)
  add(key('unread', user), shown)
  add(inboxes, shown[1] and { shown[1], user } or {}, 'LT')
  add(key('held', puid), hidden)
  add(key('holds', user), hidden)
  add(held, ends)
end

-- Store entries of new notifications; each item: id, position, end (ms), text, domain, whether it is held.
function M.keep(some)
  for _, queue in ipairs(some) do
    local entries = {}
    for index, item in ipairs(queue.items) do
      local id, position, ends, text, domain, is_held = unpack(item, 1, 6)
      entries[index] = { id, position, text, domain, is_held and ends or 0 }
    end
    keep(queue.user, queue.puid, entries)
  end
end

local function remove(user, ids)
  if #ids == 0 then return 0 end
  call('ZREM', key('unread', user), unpack(ids))
  call('HDEL', key('kept', user), unpack(ids))
  local count = call('ZREM', key('inbox', user), unpack(ids))
  if call('EXISTS', key('inbox', user)) == 0 then call('ZREM', inboxes, user) end
  return count
end

-- Delete what is left of a user who has no entries that are shown. Some of their keys may have been lost.
local function remove_rest(user)
  call('ZREM', inboxes, user)
  call('DEL', key('unread', user))
  if call('EXISTS', key('holds', user)) == 0 then call('DEL', key('kept', user)) end
end

local function remove_from_held(user, puid, ids) -- of held entries, without their content
  if #ids == 0 then return end
  call('ZREM', key('held', puid), unpack(ids))
  call('ZREM', key('holds', user), unpack(ids))
  for index, id in ipairs(ids) do ids[index] = user .. ' ' .. puid .. ' ' .. id end
  call('ZREM', held, unpack(ids))
end

local function drop_held(user, puid, ids)
  if #ids > 0 then call('HDEL', key('kept', user), unpack(ids)) end
  remove_from_held(user, puid, ids)
end

-- Delete up to ``most`` held entries of a grant; return how many.
function M.purge_held(user, puid, most)
  local ids = call('ZRANGE', key('held', puid), 0, most - 1)
  local count = #ids
  drop_held(user, puid, ids)
  return count
end

-- Return held_until, PUID, domain and text of a stored entry.
local function parts(value)
  local ends, puid, domain, text = string.match(value, '^(%d+) (%S*) (%S*) (.*)$')
  return tonumber(ends), puid, domain, text
end

-- Return the position of the oldest entry within the limits, age in ms.
local function floor(user, age, most)
  local oldest = call('ZREVRANGE', key('inbox', user), most - 1, most - 1, 'WITHSCORES')[2]
  return number(math.max(queues.microseconds - age * 1000 + 1, tonumber(oldest or 0)))
end

-- Return position, domain, text and whether it is unread, of up to MAX_PER_OPERATION entries. before: 0 for the newest.
function operations.inbox(user, before, limit, age, most)
  local highest = before > 0 and '(' .. number(before) or '+inf'
  local found = call('ZREVRANGEBYSCORE', key('inbox', user), highest, floor(user, age, most), 'WITHSCORES', 'LIMIT', 0, limit)
  local page = {}
  for index = 1, #found, 2 do
    local id = found[index]
    local value, unread = call('HGET', key('kept', user), id), call('ZSCORE', key('unread', user), id)
    if value then
      local _, _, domain, text = parts(value)
      page[#page + 1] = { tonumber(found[index + 1]), domain, text, unread and 1 or 0 }
    end
  end
  return page
end

function operations.unread(user, age, most)
  return call('ZCOUNT', key('unread', user), floor(user, age, most), '+inf')
end

function operations.unread_ids(user, ids)
  local found = {}
  local unread, holds = call('ZMSCORE', key('unread', user), unpack(ids)), call('ZMSCORE', key('holds', user), unpack(ids))
  for index, id in ipairs(ids) do
    if unread[index] or holds[index] then found[#found + 1] = id end
  end
  return found
end

function operations.mark_read(user, ids)
  return call('ZREM', key('unread', user), unpack(ids))
end

function operations.mark_read_until(user, id)
  local position = call('ZSCORE', key('inbox', user), id)
  return position and call('ZREMRANGEBYSCORE', key('unread', user), '-inf', position) or 0
end

function operations.remove_entry(user, id)
  return call('ZSCORE', key('inbox', user), id) and remove(user, { id }) or 0
end

-- Return whether there is an entry of a notification to a PUID.
function M.belongs(user, puid, id)
  local value = call('HGET', key('kept', user), id)
  return value and select(2, parts(value)) == puid
end

-- Delete entries of a grant that are unread or held; return which there were, by their place.
function M.withdraw(user, puid, ids)
  local found, shown, hidden = {}, {}, {}
  local unread, holds = call('ZMSCORE', key('unread', user), unpack(ids)), call('ZMSCORE', key('holds', user), unpack(ids))
  for index, id in ipairs(ids) do
    found[index] = unread[index] or holds[index]
    if unread[index] then shown[#shown + 1] = id elseif holds[index] then hidden[#hidden + 1] = id end
  end
  remove(user, shown)
  drop_held(user, puid, hidden)
  return found
end

-- Return how many were deleted, and whether more may remain.
function operations.clear_inbox(user)
  local ids = call('ZRANGE', key('inbox', user), 0, MAX_PER_OPERATION - 1)
  return { remove(user, ids), #ids == MAX_PER_OPERATION }
end

-- Return the indexes, from 0, of the PUIDs that have held entries.
function operations.holding(puids)
  local found = {}
  for index, puid in ipairs(puids) do
    if call('EXISTS', key('held', puid)) == 1 then found[#found + 1] = index - 1 end
  end
  return found
end

-- Show or delete held entries of a grant, oldest first; return 0 and whether more remain.
function operations.release(user, puid, most)
  local size = call('ZCARD', key('held', puid))
  if size > most then
    M.purge_held(user, puid, math.min(size - most, MAX_PER_OPERATION))
    return { 0, true }
  end
  local ids = call('ZRANGE', key('held', puid), 0, MAX_PER_OPERATION - 1)
  local last = call('ZREVRANGE', key('inbox', user), 0, 0, 'WITHSCORES')[2]
  local position = math.max(queues.microseconds, tonumber(last or 0) + 1)
  local entries = {}
  for index, id in ipairs(ids) do
    local value = call('HGET', key('kept', user), id)
    local ends, _, domain, text = parts(value or '0   ')
    if ends > now then
      entries[#entries + 1] = { id, position + index, text, domain, 0 }
    else
      call('HDEL', key('kept', user), id)
    end
  end
  keep(user, puid, entries)
  remove_from_held(user, puid, ids)
  return { 0, call('EXISTS', key('held', puid)) == 1 }
end

-- Delete entries beyond the limits. Each queue: user, PUID. Return how many queues are finished.
function operations.trim(some, most, most_held)
  local left = MAX_PER_OPERATION
  for index, queue in ipairs(some) do
    local user, puid = unpack(queue)
    local excess = math.min(call('ZCARD', key('inbox', user)) - most, left)
    if excess > 0 then left = left - remove(user, call('ZRANGE', key('inbox', user), 0, excess - 1)) end
    local excess_held = math.min(call('ZCARD', key('held', puid)) - most_held, left)
    if excess_held > 0 then left = left - M.purge_held(user, puid, excess_held) end
    if left <= 0 then return index - 1 end
  end
  return #some
end

-- Delete entries that are too old and held ones that have expired; return how many, and whether more may remain. age: in ms.
function operations.sweep_inboxes(age)
  local oldest, count = number(queues.microseconds - age * 1000), 0
  local expired = call('ZRANGEBYSCORE', held, '-inf', now, 'LIMIT', 0, queues.MAX_PER_SWEEP)
  for _, name in ipairs(expired) do
    local user, puid, id = string.match(name, '^(.*) (%S+) (%S+)$')
    drop_held(user, puid, { id })
  end
  local due = call('ZRANGEBYSCORE', inboxes, '-inf', oldest, 'LIMIT', 0, queues.MAX_PER_SWEEP)
  for _, user in ipairs(due) do
    if count >= MAX_PER_OPERATION then break end
    local ids = call('ZRANGEBYSCORE', key('inbox', user), '-inf', oldest, 'LIMIT', 0, MAX_PER_OPERATION)
    count = count + remove(user, ids)
    local next = call('ZRANGE', key('inbox', user), 0, 0, 'WITHSCORES')[2]
    if next then call('ZADD', inboxes, next, user) else remove_rest(user) end
  end
  return { count, #due > 0 or #expired > 0 }
end

-- Delete everything of a user; return 0 and whether more may remain.
function operations.purge_inbox(user)
  local shown = call('ZRANGE', key('inbox', user), 0, MAX_PER_OPERATION - 1)
  local ids = call('ZRANGE', key('holds', user), 0, MAX_PER_OPERATION - 1)
  remove(user, shown)
  for _, id in ipairs(ids) do
    local value = call('HGET', key('kept', user), id)
    if value then
      drop_held(user, select(2, parts(value)), { id })
    else
      call('ZREM', key('holds', user), id)
    end
  end
  local more = #shown == MAX_PER_OPERATION or #ids == MAX_PER_OPERATION
  if not more then remove_rest(user) end
  return { 0, more }
end

local function record(user, id, position)
  local value = call('HGET', key('kept', user), id)
  if not (value and position) then return nil end
  local ends, _, domain, text = parts(value)
  return { user, tonumber(position), text, domain, ends == 0 and not call('ZSCORE', key('unread', user), id), ends }
end

-- Return MAX_PER_OPERATION members of a sorted set with their scores, after a member with its score, or from the first on ('').
-- Members before it may have been deleted, and it may have another score now. Some may be returned twice then.
local function members_after(name, member, score)
  local start = 0
  if member ~= '' then
    local is_there = call('ZSCORE', name, member) == score
    start = is_there and call('ZRANK', name, member) + 1 or call('ZCOUNT', name, '-inf', '(' .. score)
  end
  return call('ZRANGE', name, start, start + MAX_PER_OPERATION - 1, 'WITHSCORES')
end

-- Return users of inboxes, each with a score, after one of them.
function operations.inbox_users(user, score)
  return members_after(inboxes, user, score)
end

-- Return the last of MAX_PER_OPERATION positions in an inbox after a position, false at the end; and user, position, text, domain, whether
-- it is read, and the end (ms) or 0, of the entries there.
function operations.inbox_records(user, after)
  local found = {}
  local places = call('ZRANGEBYSCORE', key('inbox', user), '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, MAX_PER_OPERATION)
  for index = 1, #places, 2 do found[#found + 1] = record(user, places[index], places[index + 1]) end
  return { places[#places] or false, found }
end

-- Return names and scores of held entries of all users after one of them, and the same of these entries.
function operations.held_records(name, score)
  local found, names = {}, members_after(held, name, score)
  for index = 1, #names, 2 do
    local user, puid, id = string.match(names[index], '^(.*) (%S+) (%S+)$')
    found[#found + 1] = record(user, id, call('ZSCORE', key('held', puid), id))
  end
  return { names, found }
end

-- items: each with user, PUID, id, position, text, domain, whether it is read, held_until (ms) or 0.
function operations.restore_inbox(items)
  for _, item in ipairs(items) do
    local user, puid, id, position, text, domain, is_read, held_until = unpack(item)
    keep(user, puid, { { id, position, text, domain, held_until } })
    if is_read then call('ZREM', key('unread', user), id) end
  end
  return #items
end

return M
