-- Replaces states that the log contradicts, each only if it is still what was judged.
-- KEYS: 1 pos, 2 outbox, 3 and on the bucket of each mend.
-- ARGV: 1 and 2 between which positions, both included, what was judged holds; then per mend
-- field, member, what is stored, what is right ('' is nothing, in both), score in the outbox or ''.
local call = redis.call
local pos = call('HMGET', KEYS[1], 'next', 'chunk', 'epoch', 'retired', 'gone')
local at, chunk, epoch, retired = tonumber(pos[1]), pos[2] or '', pos[3], pos[4] or '0'
if pos[5] or not at or at < tonumber(ARGV[1]) or at > tonumber(ARGV[2]) then return {'1', pos[1] or '', ''} end
if string.sub(chunk, -1) == '?' then return {'4', pos[1], ''} end

local verdicts, writes = {}, false
for i = 3, #KEYS do
  local a = 5 * i - 12
  local stored = call('HGET', KEYS[i], ARGV[a]) or ''
  local verdict = 'x' -- something else wrote it meanwhile
  if stored == ARGV[a + 3] then verdict = '=' elseif stored == ARGV[a + 2] then verdict, writes = 'w', true end
  verdicts[i - 2] = verdict
end
if not writes then return {'0', pos[1], table.concat(verdicts)} end

-- The owner folds from what it remembers: without its claim it must read all anew.
-- The epoch that it had stays known, so that no later one is the same.
if epoch then
  if tonumber(epoch) > tonumber(retired) then call('HSET', KEYS[1], 'retired', epoch) end
  call('HDEL', KEYS[1], 'epoch')
end
for i = 3, #KEYS do
  local a = 5 * i - 12
  if verdicts[i - 2] == 'w' then
    if ARGV[a + 3] == '' then
      call('HDEL', KEYS[i], ARGV[a])
    else
      call('HSET', KEYS[i], ARGV[a], ARGV[a + 3])
    end
    if ARGV[a + 4] ~= '' then call('ZADD', KEYS[2], 'LT', ARGV[a + 4], ARGV[a + 1]) end
  end
end
return {'0', pos[1], table.concat(verdicts)}
