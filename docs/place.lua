-- Where a subject lives: its partition, and the keys and field of its state.
--
--   redis-cli --eval docs/place.lua 'consent:{marketing}:layout' , s-000123
--
-- The place is Kafka's own hash of the id (murmur2, sign bit dropped) modulo
-- partitions times buckets: its remainder by the partitions is the partition, its
-- quotient the bucket. It only reads the layout.
local function times(a, b) -- modulo 2^32, which a double cannot hold at once
  return ((math.floor(a / 65536) * b % 65536) * 65536 + a % 65536 * b) % 4294967296
end
local function xor(a, b) return bit.bxor(a, b) % 4294967296 end

local function murmur2(s)
  local m, n, i = 0x5bd1e995, #s, 1
  local h = xor(0x9747b28c, n)
  while n - i >= 3 do
    local a, b, c, d = string.byte(s, i, i + 3)
    local k = times(a + b * 256 + c * 65536 + d * 16777216, m)
    k = times(xor(k, math.floor(k / 16777216)), m)
    h = xor(times(h, m), k)
    i = i + 4
  end
  if i <= n then
    local a, b, c = string.byte(s, i, n)
    h = times(xor(h, a + (b or 0) * 256 + (c or 0) * 65536), m)
  end
  h = times(xor(h, math.floor(h / 8192)), m)
  return xor(h, math.floor(h / 32768))
end

local layout = redis.call('HMGET', KEYS[1], 'format', 'generation', 'partitions', 'buckets')
if layout[1] ~= '1' then return redis.error_reply('no layout of format 1 in ' .. KEYS[1]) end
local subject, partitions, buckets = ARGV[1], tonumber(layout[3]), tonumber(layout[4])
local place = murmur2(subject) % 2147483648 % (partitions * buckets)
local partition, bucket = place % partitions, math.floor(place / partitions)

-- A lower-case UUID is stored as '#' and its sixteen bytes.
local field = subject
if string.match(subject, '^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$') and not string.match(subject, '%u') then
  field = '#' .. string.gsub(string.gsub(subject, '%-', ''), '%x%x', function(h) return string.char(tonumber(h, 16)) end)
end
local service = string.match(KEYS[1], '{(.-)}')
local prefix = string.format('consent:{%s/%s/%d}:', service, layout[2], partition)
return {tostring(partition), prefix .. 's:' .. bucket, field, prefix .. 'outbox', prefix .. 'held', prefix .. 'pos'}
