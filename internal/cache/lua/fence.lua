-- Takes a partition from its owner, before another generation takes its place: guards
-- are answered as before, and every script that moves, claims, mends or proves it refuses.
-- A hold from outside the partition's order is still laid.
-- KEYS[1]: pos. ARGV[1]: the other generation, or '' to give the partition back.
if ARGV[1] ~= '' then
  redis.call('HSET', KEYS[1], 'gone', ARGV[1])
elseif redis.call('HEXISTS', KEYS[1], 'next') == 1 then -- what is retired stays so
  redis.call('HDEL', KEYS[1], 'gone')
end
return '0'
