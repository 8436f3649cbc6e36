-- The request of a batch, the signals that the batch sends, and the names of shared keys.
local M = { STALE = 'stale' } -- STALE: result of an operation whose grants are older than those seen before; it changed nothing

-- M.run: number of the server start, see feeds.lua
-- M.process, M.generation: the process that sent the batch, and its registration; M.now: ms; M.ticks: monotonic ms of that process
local settings
M.prefix, M.process, M.generation, M.now, M.ticks, settings, M.operations = unpack(cmsgpack.unpack(ARGV[1]), 1, 7)
M.grace, M.lease, M.feed_seconds, M.feed_entries, M.status_interval, M.status_window, M.run = unpack(settings)
M.meta, M.processes = M.prefix .. 'meta', M.prefix .. 'processes'
M.revoked = M.prefix .. 'gone:' -- followed by an application: the key with its revoked PUIDs
M.signals, M.local_signals = {}, {} -- in order, without duplicates; local_signals: signals for this process only
M.reset = false -- whether to delete all data at the end of the batch

local function add_once(list, text)
  if not list[text] then
    list[text] = true
    list[#list + 1] = text
  end
end

function M.signal(text)
  add_once(M.signals, text)
end

function M.signal_here(text)
  add_once(M.local_signals, text)
end

return M
