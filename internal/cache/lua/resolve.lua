-- Ends the doubt whether states were lost, if nothing was written while their digest
-- was worked out. ARGV: 1 epoch, 2 digest before that, 3 digest of what is stored.
if epoch and epoch ~= ARGV[1] then return reply(FENCED) end
if not epoch or not applied then return reply(MOVED) end
if doubt and digest == ARGV[2] then
  torn = digest ~= ARGV[3]
  call('HSET', POS, 'chunk', torn and '?' or '+')
end
return reply(OK)
