-- Reads one subject's features for one purpose, together with whether they may
-- be used. Writes nothing.
-- ARGV  purpose, subject
-- Reply: on the default, in doubt (0 or 1 each), then feature, value and so on,
-- none when either is 1
local default = redis.call('SISMEMBER', prefix .. 'default:' .. ARGV[1], ARGV[2])
local doubted = doubt(ARGV[2]) and 1 or 0
local reply = {default, doubted}
if default == 0 and doubted == 0 then
  for _, value in ipairs(redis.call('HGETALL', prefix .. 'features:' .. ARGV[1] .. ':' .. ARGV[2])) do
    reply[#reply + 1] = value
  end
end
return reply
