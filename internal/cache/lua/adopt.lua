-- Puts the layout of the next generation in the place of the one before, if that is
-- what is recorded, and returns the recorded one.
-- KEYS[1]: layout. ARGV: 1 topic, 2 generation, 3 partitions before; then names and values.
local now = redis.call('HMGET', KEYS[1], 'topic', 'generation', 'partitions')
if now[1] == ARGV[1] and now[2] == ARGV[2] and now[3] == ARGV[3] then
  redis.call('HSET', KEYS[1], unpack(ARGV, 4))
end
return redis.call('HGETALL', KEYS[1])
