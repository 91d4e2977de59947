-- Puts what is staged in the place of what is live, all at once: a reader sees the
-- old whole or the new whole. holds.lua stands in front.
-- KEYS: 1 to 3 live pos, outbox, held; 4 to 6 staged pos, outbox, held; then live and
-- staged bucket by turns. ARGV: 1 epoch of who staged, 2 offset that the live position
-- must have reached.
-- Reply: 0 done, 1 the live position has not got there, or is ahead, 2 there is none,
-- another generation takes its place, or nothing is staged, 3 another staged it; then live and staged next.
local call, sub = redis.call, string.sub
local live = call('HMGET', KEYS[1], 'next', 'fresh', 'epoch', 'retired', 'gone')
local new = call('HMGET', KEYS[4], 'next', 'fresh', 'digest', 'top', 'chunk', 'epoch', 'stage')
local at, to = live[1] or '', new[1] or ''
if new[6] and new[6] ~= ARGV[1] then return {'3', at, to} end
if live[5] or at == '' or to == '' or sub(new[5] or '', -1) == '?' then return {'2', at, to} end
if tonumber(at) > tonumber(to) or tonumber(at) < tonumber(ARGV[2]) then return {'1', at, to} end

local function larger(a, b)
  if tonumber(a) < tonumber(b) then return b end
  return a
end

-- Should this die half-way, the question mark has everybody deny, and the next claim
-- build the partition from the log.
call('HSET', KEYS[1], 'chunk', 'swap?')
for k = 7, #KEYS, 2 do
  if call('EXISTS', KEYS[k + 1]) == 1 then
    call('RENAME', KEYS[k + 1], KEYS[k])
  else
    call('UNLINK', KEYS[k])
  end
end
if call('EXISTS', KEYS[5]) == 1 then
  call('ZUNIONSTORE', KEYS[2], 2, KEYS[2], KEYS[5], 'AGGREGATE', 'MIN')
end
local held = call('HGETALL', KEYS[6])
for i = 1, #held, 2 do
  for entry in string.gmatch(held[i + 1], '%S+') do
    local released = sub(entry, 1, 1) == '-'
    lay(KEYS[3], released, held[i], released and sub(entry, 2) or entry)
  end
end

-- The owner remembers what was: without its claim it must claim anew, and read on
-- from here. Its epoch stays known, so that no later one is the same.
local fresh = larger(live[2] or '0', new[2] or '0')
call('HSET', KEYS[1], 'next', to, 'fresh', fresh, 'digest', new[3], 'top', larger(new[4] or '0', to), 'stage', new[7] or '',
  'retired', larger(live[4] or '0', live[3] or '0'))
call('HDEL', KEYS[1], 'epoch', 'chunk', 'torso')
call('UNLINK', KEYS[4], KEYS[5], KEYS[6])
return {'0', at, to}
