-- Reads states. KEYS[i]: bucket, ARGV[i]: field.
local call, out = redis.call, {}
for i = 1, #KEYS do out[i] = call('HGET', KEYS[i], ARGV[i]) end
return out
