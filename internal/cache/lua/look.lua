-- Reads states together with the position that they belong to; read-only.
-- KEYS: 1 pos, 2 and on the bucket of each subject. ARGV: the field of each.
local call = redis.call
local time = call('TIME')
local pos = call('HMGET', KEYS[1], 'next', 'fresh', 'chunk', 'epoch')
local out = {time[1], time[2], pos[1] or '', pos[2] or '', pos[3] or '', pos[4] or ''}
for i = 2, #KEYS do out[#out + 1] = call('HGET', KEYS[i], ARGV[i - 1]) or '' end
return out
