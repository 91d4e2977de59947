-- Sets the position of a partition that forget.lua left without one.
-- ARGV: 1 epoch, 2 position, 3 digest of what is stored, 4 an offset above every stored version,
-- 5 '1' where the log has lost its beginning or ''.
if epoch and epoch ~= ARGV[1] then return reply(FENCED) end
if not epoch then return reply(MOVED) end
applied, digest, top = ARGV[2], ARGV[3], larger(larger(top, ARGV[4]), ARGV[2])
stage = ''
call('HSET', POS, 'next', applied, 'digest', digest, 'top', top, 'stage', stage)
if ARGV[5] == '1' then call('HSET', POS, 'torso', applied) else call('HDEL', POS, 'torso') end
return reply(OK)
