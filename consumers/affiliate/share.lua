-- Reads whether subjects may be named to a partner, together with whether that
-- may be out of date. Writes nothing.
-- ARGV[1]   partner
-- ARGV[2]   purpose
-- ARGV[3…]  per subject: id, its pseudonyms separated by spaces
-- Reply, per subject: 1 when closed under any pseudonym, plus 2 when in doubt
local reply, closed = {}, prefix .. 'closed:' .. ARGV[1] .. ':' .. ARGV[2]
for i = 3, #ARGV, 2 do
  local says = doubt(ARGV[i]) and 2 or 0
  for pseudonym in string.gmatch(ARGV[i + 1], '%S+') do
    if redis.call('SISMEMBER', closed, pseudonym) == 1 then
      says = says + 1
      break
    end
  end
  reply[#reply + 1] = says
end
return reply
