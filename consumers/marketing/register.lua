-- Registers a campaign in one slot. A campaign never changes its purpose: those
-- in its audience were admitted for the one it has.
-- ARGV  campaign, purpose, how many campaigns there may be
-- Reply: 1 registered, 0 it has another purpose, -1 too many
local has = redis.call('HGET', prefix .. 'campaigns', ARGV[1])
if has then return {has == ARGV[2] and 1 or 0} end
if redis.call('HLEN', prefix .. 'campaigns') >= tonumber(ARGV[3]) then return {-1} end
redis.call('HSET', prefix .. 'campaigns', ARGV[1], ARGV[2])
return {1}
