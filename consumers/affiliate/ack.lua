-- Takes acknowledged stops out of a partner's queue.
-- ARGV[1]   partner
-- ARGV[2…]  positions
-- Reply: how many were still there
local n = redis.call('ZREM', prefix .. 'queue:' .. ARGV[1], unpack(ARGV, 2))
redis.call('HDEL', prefix .. 'stops:' .. ARGV[1], unpack(ARGV, 2))
return {n}
