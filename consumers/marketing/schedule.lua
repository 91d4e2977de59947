-- Puts subjects of a campaign's audience into its send queue.
-- ARGV[1]   campaign
-- ARGV[2]   when the send is due, Unix milliseconds
-- ARGV[3…]  subjects
-- Reply: campaigns found (0 or 1), in the queue now, suppressed, in doubt, not in the audience
local purpose = redis.call('HGET', prefix .. 'campaigns', ARGV[1])
if not purpose then return {0, 0, 0, 0, 0} end
local due, suppressed, doubted, strangers = {}, 0, 0, 0
for i = 3, #ARGV do
  if redis.call('SISMEMBER', prefix .. 'suppressed:' .. purpose, ARGV[i]) == 1 then
    suppressed = suppressed + 1
  elseif redis.call('SISMEMBER', prefix .. 'audience:' .. ARGV[1], ARGV[i]) == 0 then
    strangers = strangers + 1
  elseif doubt(ARGV[i]) then
    doubted = doubted + 1
  else
    due[#due + 1] = ARGV[2]
    due[#due + 1] = ARGV[i]
  end
end
if #due > 0 then redis.call('ZADD', prefix .. 'queue:' .. ARGV[1], unpack(due)) end
return {1, #due / 2, suppressed, doubted, strangers}
