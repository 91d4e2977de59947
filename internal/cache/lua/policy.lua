-- Writes the policies of a service down, unless what is there grew out of them.
-- KEYS[1]: policy. ARGV: 1 revision, 2 revisions that it grew out of, 3 catalogues.
local there = redis.call('HMGET', KEYS[1], 'revision', 'grown')
if there[1] == ARGV[1] then return '0' end
for earlier in string.gmatch(there[2] or '', '%S+') do
  if earlier == ARGV[1] then return '0' end
end
redis.call('HSET', KEYS[1], 'revision', ARGV[1], 'grown', ARGV[2], 'catalogues', ARGV[3])
return '0'
