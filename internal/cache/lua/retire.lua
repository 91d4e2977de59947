-- Ends a partition of a generation that another took the place of: no guard allows by
-- it, and no consumer claims it or proves it fresh, from now on.
-- KEYS[1]: pos. ARGV[1]: the generation that took its place.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'gone', ARGV[1])
return '0'
