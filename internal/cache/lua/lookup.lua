-- All that decides about a subject, at one moment and by one clock; read-only.
-- KEYS: 1 pos, 2 bucket, 3 held. ARGV: 1 field, 2 member.
local time = redis.call('TIME')
local pos = redis.call('HMGET', KEYS[1], 'next', 'fresh', 'chunk', 'policy', 'stage')
return {time[1], time[2], pos[1], pos[2], pos[3],
  redis.call('HGET', KEYS[2], ARGV[1]), redis.call('HGET', KEYS[3], ARGV[2]), pos[4], pos[5]}
