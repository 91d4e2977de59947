-- Begins every script over the keys of one slot. KEYS[1] is the slot's prefix.
local prefix = KEYS[1]

-- behind says whether the slot as a whole may be behind the log by more than the
-- guard accepts (guard.DefaultMaxStaleness), by Redis' own clock as there: its
-- consumer stands still, its keys were lost, or a script died half-way. While a
-- change of the policy is being acted on everybody in the slot is in doubt.
local known_behind
local function behind()
  if known_behind == nil then
    local pos = redis.call('HMGET', prefix .. 'pos', 'next', 'fresh', 'chunk', 'swept')
    local time = redis.call('TIME')
    local age = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(pos[2] or '0')
    known_behind = not pos[1] or age > 3000 or age < -500 or string.sub(pos[3] or '', -1) == '?'
      or string.find(pos[4] or '', '?', 1, true) ~= nil
  end
  return known_behind
end

-- doubt says whether what the slot holds of a subject may be older than its
-- state: its action is still to be done, an event of it is kept aside, or the
-- slot is behind.
local function doubt(subject)
  if behind() or redis.call('ZSCORE', prefix .. 'outbox', subject) then return true end
  local holds = redis.call('HGET', prefix .. 'held', subject)
  for at in string.gmatch(holds or '', '%S+') do
    if string.sub(at, 1, 1) ~= '-' then return true end
  end
  return false
end
