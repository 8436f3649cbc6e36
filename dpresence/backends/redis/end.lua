-- Carries out a batch. Comes last.
local results = {}
for position, operation in ipairs(operations) do
  local result = run[operation[1]](unpack(operation, 2))
  if result == nil then result = true end
  results[position] = result
end
finish()
local text = table.concat(wakes, '\n')
if #wakes > 0 then call('PUBLISH', prefix .. 'wakes', me .. '\n' .. text) end
return cmsgpack.pack({ call('HINCRBY', meta, 'batches', 1), text, results })
