-- Adds subjects to a campaign's audience, except those who must not be in it.
-- ARGV[1]   campaign
-- ARGV[2…]  subjects
-- Reply: campaigns found (0 or 1), in the audience now, suppressed, in doubt
local purpose = redis.call('HGET', prefix .. 'campaigns', ARGV[1])
if not purpose then return {0, 0, 0, 0} end
local admitted, suppressed, doubted = {}, 0, 0
for i = 2, #ARGV do
  if redis.call('SISMEMBER', prefix .. 'suppressed:' .. purpose, ARGV[i]) == 1 then
    suppressed = suppressed + 1
  elseif doubt(ARGV[i]) then
    doubted = doubted + 1
  else
    admitted[#admitted + 1] = ARGV[i]
  end
end
if #admitted > 0 then redis.call('SADD', prefix .. 'audience:' .. ARGV[1], unpack(admitted)) end
return {1, #admitted, suppressed, doubted}
