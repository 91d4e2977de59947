-- Where a partition stands, at one moment and by one clock; read-only.
-- KEYS: 1 pos, 2 outbox.
local time = redis.call('TIME')
local pos = redis.call('HMGET', KEYS[1], 'next', 'fresh', 'chunk')
return {time[1], time[2], pos[1], pos[2], pos[3], redis.call('ZCARD', KEYS[2])}
