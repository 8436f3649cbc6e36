-- Executes one batch of operations, in order and atomically. Their documentation: backends/mailbox/__init__.py.
-- ARGV[1], cmsgpack: prefix, operations. Returns cmsgpack: results, numbers of undelivered notifications discarded by
-- reason, and failures (position, reason): a server that is full refuses to store, and still discards.
--
--   count          the latest position; positions only increase, even after the server has lost data
--   order:USER     sorted set: ids of undelivered notifications by position
--   text:USER      hash: id -> encoded notification, of undelivered notifications
--   facts:USER     hash: id -> "end puid", of undelivered notifications and of those that are only counted
--   queue:PUID     sorted set: ids by position, of all notifications that the application sees as waiting
--   ends:PUID      sorted set: ids of the same notifications by time of expiry (ms)
--   taken:PUID     sorted set: ids of notifications that are only counted, by the time (ms) at which the user received them
--   queues         sorted set without scores: "USER PUID" of every queue that is not empty
--   due            sorted set: "USER PUID" of the same queues by the earliest expiry in the queue, or an earlier time
--
--   inbox:USER     sorted set: ids of the entries of the inbox by position, microseconds since the epoch
--   unread:USER    sorted set: ids of those that are unread, by position
--   kept:USER      hash: id -> "end puid domain text", of these entries and of those that are held; the end is 0 unless one is held
--   held:PUID      sorted set: ids of entries that are held, by position
--   holds:USER     sorted set: the same for all PUIDs of a user
--   held           sorted set: "USER PUID ID" of all entries that are held, by time of expiry (ms)
--   inboxes        sorted set: users by the position of their oldest entry, or an earlier one
--
--   topic:PUID     hash: topic -> "end position id", of the last notification of each topic
--   key:PUID       hash: idempotency key -> "end position id digest"
--   claim:PUID     hash: idempotency key of notifications that are being stored in several steps -> "end 0 - digest"
--
-- An earlier version used other keys. They are migrated when their data is needed, and by sweeps:
--   for:USER       hash: id -> cmsgpack of position, application, end (ms) and a JSON list whose third element is the PUID
--   ends           sorted set: "USER ID" by time of expiry
--
-- An operation consists of its name, the users it concerns and its arguments. While one of these users has a key of the earlier
-- version, the operation changes nothing and its result is false: the caller migrates the key ("migrate") and retries.
-- No operation handles more than MAX_PER_OPERATION notifications of all its queues together; results say whether more remain, and the
-- caller repeats the operation. The result TIDY_FIRST means that the operation only discarded MAX_DISCARDED_FIRST
-- notifications: the caller has to tidy the queues ("tidy") and retry.
-- Keys and fields keep these names: processes of several versions use them at the same time during an upgrade.
-- Keys are computed here and not declared: Redis Cluster is not supported.
local delivery, migration, queues = require('delivery'), require('migration'), require('queues')

local function execute(operation)
  local name = operation[1]
  if migration.has_earlier(operation[2]) then return false end
  local handle = delivery[name] or require('inbox').operations[name] or require('purging')[name] or require('control').operations[name]
    or migration.operations[name] or require('records')[name]
  return handle(unpack(operation, 3))
end

local results, failed = {}, {}
for index, operation in ipairs(queues.operations) do
  local done, result = pcall(execute, operation)
  if not done then
    failed[#failed + 1] = { index, type(result) == 'table' and tostring(result.err) or tostring(result) } -- a table from Redis 7 on
    result = false
  end
  results[index] = result
end
return cmsgpack.pack({ results, queues.discarded, failed })
