-- Where a slot stands, and which subjects wait in its outbox; read-only.
-- ARGV: subjects. Reply: epoch, next, digest, the oldest change in the outbox, each
-- or ''; then 0 or 1 per subject.
local pos = redis.call('HMGET', prefix .. 'pos', 'epoch', 'next', 'digest', 'chunk', 'torso')
local first = redis.call('ZRANGE', prefix .. 'outbox', 0, 0, 'WITHSCORES')
if string.sub(pos[4] or '', -1) == '?' then pos[2] = false end -- a script died half-way
if pos[5] then pos[2] = false end -- no states to write behind those that the topic has
local reply = {pos[1] or '', pos[2] or '', pos[3] or '', first[2] or ''}
if #ARGV > 0 then
  for i, waits in ipairs(redis.call('ZMSCORE', prefix .. 'outbox', unpack(ARGV))) do
    reply[4 + i] = waits and 1 or 0
  end
end
return reply
