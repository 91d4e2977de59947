-- Takes a partition from its owner, before another generation takes its place: guards
-- are answered as before, and every script that moves, claims or proves it refuses.
-- KEYS[1]: pos. ARGV[1]: the other generation.
redis.call('HSET', KEYS[1], 'gone', ARGV[1])
return '0'
