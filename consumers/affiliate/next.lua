-- Leases due stops of a partner: until the lease ends nobody else gets them.
-- ARGV  partner, now in Unix milliseconds, end of the lease, how many at most
-- Reply: position, stop and so on; '' for a stop that is lost
local queue = prefix .. 'queue:' .. ARGV[1]
local positions = redis.call('ZRANGEBYSCORE', queue, '-inf', ARGV[2], 'LIMIT', 0, ARGV[4])
if #positions == 0 then return {} end
local stops, reply = redis.call('HMGET', prefix .. 'stops:' .. ARGV[1], unpack(positions)), {}
for i, position in ipairs(positions) do
  redis.call('ZADD', queue, 'XX', ARGV[3], position)
  reply[#reply + 1] = position
  reply[#reply + 1] = stops[i] or ''
end
return reply
