-- Puts subjects into the outbox though no event changed them, and notes how far
-- the sweep is. ARGV: 1 epoch, 2 note, then per subject offset of its version and member.
if epoch and epoch ~= ARGV[1] then return reply(FENCED) end
if torn then return reply(DAMAGED) end
if not epoch or not applied then return reply(MOVED) end
if #ARGV > 2 then call('ZADD', OUTBOX, 'LT', unpack(ARGV, 3)) end
call('HSET', POS, 'swept', ARGV[2])
return reply(OK)
