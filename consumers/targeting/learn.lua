-- Writes features of one subject for one purpose, unless it must have none.
-- ARGV[1]   purpose
-- ARGV[2]   subject
-- ARGV[3…]  feature, value and so on
-- Reply: on the default, in doubt (0 or 1 each); written when both are 0
local default = redis.call('SISMEMBER', prefix .. 'default:' .. ARGV[1], ARGV[2])
local doubted = doubt(ARGV[2]) and 1 or 0
if default == 0 and doubted == 0 then
  redis.call('HSET', prefix .. 'features:' .. ARGV[1] .. ':' .. ARGV[2], unpack(ARGV, 3))
end
return {default, doubted}
