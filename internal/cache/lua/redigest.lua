-- Corrects the digest, if nothing was written since it was worked out.
-- KEYS: 1 pos. ARGV: 1 position, 2 digest, as they were, 3 digest as it is.
local pos = redis.call('HMGET', KEYS[1], 'next', 'digest', 'gone')
if pos[3] or pos[1] ~= ARGV[1] or (pos[2] or '0') ~= ARGV[2] then return '1' end
if ARGV[2] ~= ARGV[3] then redis.call('HSET', KEYS[1], 'digest', ARGV[3]) end
return '0'
