-- The texts and counts that processes publish. The counts of a process that has ended are added to those of others that have ended.
local context = require('batch_context')
local call, me = redis.call, context.process
local operations = {}
local DAY = 86400 -- seconds for which the counts of a process that is suspended or has ended are stored

-- Add the counts in a text, JSON, to those of the processes that have ended, or subtract them with the factor -1.
local function add_to_ended(text, factor)
  local known, counts = pcall(cjson.decode, text)
  for name, count in pairs(known and counts or {}) do
    call('HINCRBYFLOAT', context.prefix .. 'ended', name, string.format('%.17g', factor * count))
  end
end

-- Move the counts of a process that has ended.
local function settle(process)
  call('DEL', context.prefix .. 'figures:' .. process)
  local counts = call('GET', context.prefix .. 'counts:' .. process)
  if counts then
    add_to_ended(counts, 1)
    call('RENAME', context.prefix .. 'counts:' .. process, context.prefix .. 'settled:' .. process)
    call('EXPIRE', context.prefix .. 'settled:' .. process, DAY)
  end
end

function operations.publish(text, counts)
  local settled = call('GET', context.prefix .. 'settled:' .. me)
  if settled then -- this process was taken for dead; its counts include those that were moved
    add_to_ended(settled, -1)
    call('DEL', context.prefix .. 'settled:' .. me)
  end
  call('SET', context.prefix .. 'figures:' .. me, text, 'PX', context.lease)
  call('SET', context.prefix .. 'counts:' .. me, counts, 'EX', DAY)
end

-- Return the texts of processes that are alive, the counts of each, and name and count of those that have ended.
function operations.published()
  local texts, counts = {}, {}
  for _, process in ipairs(call('HKEYS', context.processes)) do
    texts[#texts + 1] = call('GET', context.prefix .. 'figures:' .. process) or nil
    counts[#counts + 1] = call('GET', context.prefix .. 'counts:' .. process) or nil
  end
  return { texts, counts, call('HGETALL', context.prefix .. 'ended') }
end

return { settle = settle, publish = operations.publish, published = operations.published }
