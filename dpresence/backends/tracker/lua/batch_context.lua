-- The request of a batch; and of the section that is being executed the signals that it sends, and the names of shared keys.
local M = { STALE = 'stale' } -- STALE: result of an operation whose grants are older than those seen before; it changed nothing

-- M.process: the process that sent the batch; M.now: ms; M.ticks: monotonic ms of that process
local settings
M.process, M.now, M.ticks, settings, M.channel, M.sections = unpack(cmsgpack.unpack(ARGV[1]), 1, 6)
M.grace, M.lease, M.feed_seconds, M.feed_entries, M.status_interval, M.status_window = unpack(settings)

-- Let the fields of the context be those of a section.
-- M.generation: the registration of the process; M.run: number of the server start, see feeds.lua
function M.begin(section)
  M.prefix, M.generation, M.run, M.label, M.operations = unpack(section)
  M.meta, M.processes = M.prefix .. 'meta', M.prefix .. 'processes'
  M.revoked = M.prefix .. 'gone:' -- followed by an application: the key with its revoked PUIDs
  M.signals, M.local_signals = {}, {} -- in order, without duplicates; local_signals: signals for this process only
  M.reset = false -- whether to delete all data at the end of the section
end

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
