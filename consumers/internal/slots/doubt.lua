-- Begins every script over the keys of one slot. KEYS[1] is the slot's prefix.
local prefix = KEYS[1]

-- doubt says whether what the slot holds of a subject may be older than its
-- state: its action is still to be done, or an event of it is kept aside.
local function doubt(subject)
  if redis.call('ZSCORE', prefix .. 'outbox', subject) then return true end
  local holds = redis.call('HGET', prefix .. 'held', subject)
  for at in string.gmatch(holds or '', '%S+') do
    if string.sub(at, 1, 1) ~= '-' then return true end
  end
  return false
end
