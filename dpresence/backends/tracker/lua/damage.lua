-- Errors of data that has wrong content, and the texts of errors.
local M = {}

local DAMAGED = 'a feed is damaged: '

-- Raise the error of a damaged feed.
function M.raise(what)
  error(DAMAGED .. what, 0)
end

-- Return the text of an error, which Redis 7 raises as a table.
function M.reason_of(failure)
  return type(failure) == 'table' and tostring(failure.err) or tostring(failure)
end

-- Return whether an error means that a key has wrong content, as opposed to a server that refuses writes.
function M.is_damage(failure)
  local reason = M.reason_of(failure)
  for _, sign in ipairs({ DAMAGED, 'WRONGTYPE', 'equal or smaller' }) do
    if string.find(reason, sign, 1, true) then return true end
  end
  return false
end

-- Return whether an error means that this node of a Redis Cluster does not have a slot, or no longer all of its keys.
function M.is_elsewhere(failure)
  local reason = M.reason_of(failure)
  return string.find(reason, 'non local key', 1, true) or string.find(reason, 'cluster is down', 1, true)
end

return M
