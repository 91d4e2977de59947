-- What the live buckets hold and the staged ones do not, or otherwise; read-only.
-- KEYS: 1 live pos, 2 staged pos, then live and staged bucket by turns.
-- Reply: live next, staged next, each or ''; how many subjects are staged; per bucket
-- that differs its number among the KEYS, from 0, and field, live state, staged state
-- of each difference, '' for none.
local call = redis.call
local reply = {call('HGET', KEYS[1], 'next') or '', call('HGET', KEYS[2], 'next') or '', 0}
for k = 3, #KEYS, 2 do
  local live, staged, found = redis.pcall('HGETALL', KEYS[k]), call('HGETALL', KEYS[k + 1]), {}
  if live.err then live = {} end -- of another type: all is missing
  reply[3] = reply[3] + #staged / 2
  local old = {}
  for i = 1, #live, 2 do old[live[i]] = live[i + 1] end
  for i = 1, #staged, 2 do
    local field = staged[i]
    local was = old[field]
    if was ~= staged[i + 1] then
      found[#found + 1], found[#found + 2], found[#found + 3] = field, was or '', staged[i + 1]
    end
    old[field] = nil
  end
  for field, was in pairs(old) do
    found[#found + 1], found[#found + 2], found[#found + 3] = field, was, ''
  end
  if #found > 0 then reply[#reply + 1], reply[#reply + 2] = (k - 3) / 2, found end
end
return reply
