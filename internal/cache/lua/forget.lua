-- Forgets the position of a claimed partition: the guard denies from now on.
if epoch and epoch ~= ARGV[1] then return reply(FENCED) end
if not epoch then return reply(MOVED) end
call('HDEL', POS, 'next', 'fresh', 'chunk')
applied, fresh, torn = nil, '0', false
return reply(OK)
