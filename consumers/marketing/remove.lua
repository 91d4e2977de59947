-- Removes a campaign from one slot, with its audience and its queue.
-- ARGV  campaign
-- Reply: 1 if it was there
redis.call('UNLINK', prefix .. 'queue:' .. ARGV[1], prefix .. 'audience:' .. ARGV[1])
return {redis.call('HDEL', prefix .. 'campaigns', ARGV[1])}
