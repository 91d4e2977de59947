-- Moves reviews whose date has passed to those that were alarmed.
-- ARGV  now, Unix milliseconds; how many at most
-- Reply: subject and date of each that was moved
local passed = redis.call('ZRANGE', prefix .. 'reviews', '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2], 'WITHSCORES')
for i = 1, #passed, 2 do
  redis.call('ZREM', prefix .. 'reviews', passed[i])
  redis.call('ZADD', prefix .. 'overdue', passed[i + 1], passed[i])
end
return passed
