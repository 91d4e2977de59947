-- Takes due sends out of a campaign's queue. Who is suppressed or left the
-- audience is taken out and not handed over; who is in doubt is put off, so that
-- the queue's head does not fill up with them. A slot that is behind hands out
-- nobody.
-- ARGV  campaign, now in Unix milliseconds, until when to put off, how many at most
-- Reply: campaigns found (0 or 1), then the subjects to send to
local purpose = redis.call('HGET', prefix .. 'campaigns', ARGV[1])
if not purpose then return {0} end
if behind() then return {1} end
local queue = prefix .. 'queue:' .. ARGV[1]
local reply, out, later = {1}, {}, {}
for _, subject in ipairs(redis.call('ZRANGEBYSCORE', queue, '-inf', ARGV[2], 'LIMIT', 0, ARGV[4])) do
  if redis.call('SISMEMBER', prefix .. 'suppressed:' .. purpose, subject) == 1
      or redis.call('SISMEMBER', prefix .. 'audience:' .. ARGV[1], subject) == 0 then
    out[#out + 1] = subject
  elseif doubt(subject) then
    later[#later + 1] = ARGV[3]
    later[#later + 1] = subject
  else
    out[#out + 1] = subject
    reply[#reply + 1] = subject
  end
end
if #out > 0 then redis.call('ZREM', queue, unpack(out)) end
if #later > 0 then redis.call('ZADD', queue, unpack(later)) end
return reply
