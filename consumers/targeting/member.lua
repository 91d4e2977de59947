-- Reads one subject's place in a segment, together with whether it may be out of
-- date. Writes nothing.
-- ARGV  segment, subject
-- Reply: in the segment, on the default, in doubt (0 or 1 each)
local purpose = redis.call('HGET', prefix .. 'segments', ARGV[1])
local default = 0
if purpose then default = redis.call('SISMEMBER', prefix .. 'default:' .. purpose, ARGV[2]) end
return {redis.call('SISMEMBER', prefix .. 'segment:' .. ARGV[1], ARGV[2]), default, doubt(ARGV[2]) and 1 or 0}
