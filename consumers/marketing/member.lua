-- Reads one subject's place in a campaign, together with whether it may be out
-- of date. Writes nothing.
-- ARGV  campaign, subject
-- Reply: in the audience, suppressed, in doubt (0 or 1 each)
local purpose = redis.call('HGET', prefix .. 'campaigns', ARGV[1])
local suppressed = 0
if purpose then suppressed = redis.call('SISMEMBER', prefix .. 'suppressed:' .. purpose, ARGV[2]) end
return {redis.call('SISMEMBER', prefix .. 'audience:' .. ARGV[1], ARGV[2]), suppressed, doubt(ARGV[2]) and 1 or 0}
