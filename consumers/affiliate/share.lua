-- Reads whether subjects may be named to a partner, together with whether that
-- may be out of date. Writes nothing.
-- ARGV[1]   partner
-- ARGV[2]   purpose
-- ARGV[3]   revisions of the policy, separated by spaces: swept by one of these last,
--           the slot as a whole is in doubt
-- ARGV[4…]  per subject: id, its pseudonyms separated by spaces
-- Reply, per subject: 1 when closed under any pseudonym, plus 2 when in doubt
local reply, closed = {}, prefix .. 'closed:' .. ARGV[1] .. ':' .. ARGV[2]
local swept = string.match(redis.call('HGET', prefix .. 'pos', 'swept') or '', '^%x+')
local older = false
for revision in string.gmatch(ARGV[3], '%S+') do older = older or revision == swept end
for i = 4, #ARGV, 2 do
  local says = (older or doubt(ARGV[i])) and 2 or 0
  for pseudonym in string.gmatch(ARGV[i + 1], '%S+') do
    if redis.call('SISMEMBER', closed, pseudonym) == 1 then
      says = says + 1
      break
    end
  end
  reply[#reply + 1] = says
end
return reply
