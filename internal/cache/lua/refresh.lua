-- Proves a partition fresh. ARGV: 1 epoch, 2 next, 3 proved fresh at or '', 4 receipts cover,
-- 5 revision of the policy.
if epoch and epoch ~= ARGV[1] then return reply(FENCED) end
if torn then return reply(DAMAGED) end
if not epoch or applied ~= ARGV[2] then return reply(MOVED) end
renew(ARGV[3], ARGV[4])
call('HSET', POS, 'fresh', fresh, 'receipted', receipted, 'policy', ARGV[5])
return reply(OK)
