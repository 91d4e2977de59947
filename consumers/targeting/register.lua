-- Registers a segment in one slot. A segment never changes its purpose: those in
-- it joined for the one it has.
-- ARGV  segment, purpose, how many segments there may be
-- Reply: 1 registered, 0 it has another purpose, -1 too many
local has = redis.call('HGET', prefix .. 'segments', ARGV[1])
if has then return {has == ARGV[2] and 1 or 0} end
if redis.call('HLEN', prefix .. 'segments') >= tonumber(ARGV[3]) then return {-1} end
redis.call('HSET', prefix .. 'segments', ARGV[1], ARGV[2])
return {1}
