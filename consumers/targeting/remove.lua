-- Removes a segment from one slot, with its members.
-- ARGV  segment
-- Reply: 1 if it was there
redis.call('UNLINK', prefix .. 'segment:' .. ARGV[1])
return {redis.call('HDEL', prefix .. 'segments', ARGV[1])}
