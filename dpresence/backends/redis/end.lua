-- Executes the batch. Last part of the script.
local results, failed = {}, {}
for position, operation in ipairs(operations) do
  local done, result = pcall(run[operation[1]], unpack(operation, 2))
  if not done then
    failed[#failed + 1] = { position, reason_of(result) }
    result = false
  end
  if result == nil then result = true end
  results[position] = result
end
finish()
local text = table.concat(signals, '\n')
if #signals > 0 then call('PUBLISH', prefix .. 'wakes', me .. '\n' .. text) end
local batches = call('HINCRBY', meta, 'batches', 1)
if anew then call('UNLINK', meta, processes) end -- the next process that registers deletes all data, see open.lua
return cmsgpack.pack({ batches, text, results, table.concat(alarms, '\n'), failed })
