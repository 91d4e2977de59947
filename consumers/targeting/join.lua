-- Adds subjects to a segment, except those who must not be in it.
-- ARGV[1]   segment
-- ARGV[2…]  subjects
-- Reply: segments found (0 or 1), in the segment now, on the default, in doubt
local purpose = redis.call('HGET', prefix .. 'segments', ARGV[1])
if not purpose then return {0, 0, 0, 0} end
local joined, default, doubted = {}, 0, 0
for i = 2, #ARGV do
  if redis.call('SISMEMBER', prefix .. 'default:' .. purpose, ARGV[i]) == 1 then
    default = default + 1
  elseif doubt(ARGV[i]) then
    doubted = doubted + 1
  else
    joined[#joined + 1] = ARGV[i]
  end
end
if #joined > 0 then redis.call('SADD', prefix .. 'segment:' .. ARGV[1], unpack(joined)) end
return {1, #joined, default, doubted}
