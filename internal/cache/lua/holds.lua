-- Lays or lifts the hold of one event on one subject, as type holds does.
local function lay(key, release, field, at)
  local kept, known, count, overflow = {}, false, 0, false
  for entry in string.gmatch(redis.call('HGET', key, field) or '', '%S+') do
    if entry == '*' then overflow = true end
    if entry == '-' .. at or (entry == at and not release) then known = true end
    if not (release and (entry == at or (entry == '*' and at == '0/0@0'))) then
      count = count + 1
      kept[count] = entry
    end
  end
  if known then return end
  if release then at = '-' .. at end
  if at == '-0/0@0' or (release and count >= 32) then
    at = nil
  elseif count >= 32 then
    at = not overflow and '*' or nil
  end
  if at then kept[count + 1] = at end
  if #kept == 0 then
    redis.call('HDEL', key, field)
  else
    redis.call('HSET', key, field, table.concat(kept, ' '))
  end
end
