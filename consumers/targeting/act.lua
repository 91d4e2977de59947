-- Brings targeting's keys of one slot in line with where subjects stand.
-- ARGV[1]   the purposes, separated by spaces
-- ARGV[2…]  per subject: id, offset of its version, a sign per purpose (+ - .)
-- Reply: late, profiles deleted, left a segment, put on the default, taken off it, segments
local purposes, place = {}, {}
for name in string.gmatch(ARGV[1], '%S+') do
  purposes[#purposes + 1] = name
  place[name] = #purposes
end

local everyone, shut, stopped, allowed = {}, {}, {}, {}
for p = 1, #purposes do shut[p], stopped[p], allowed[p] = {}, {}, {} end
local profiles = {}
local counted, late = turns(2, 3)
for _, at in ipairs(counted) do
  local subject, signs = ARGV[at], ARGV[at + 2]
  everyone[#everyone + 1] = subject
  for p = 1, #purposes do
    local sign = string.sub(signs, p, p)
    if sign == '+' then
      allowed[p][#allowed[p] + 1] = subject
    else
      shut[p][#shut[p] + 1] = subject
      profiles[#profiles + 1] = prefix .. 'features:' .. purposes[p] .. ':' .. subject
      if sign == '-' then stopped[p][#stopped[p] + 1] = subject end
    end
  end
end

-- The default comes first and goes last: a reader in between sees the stricter
-- of the two.
local flagged, deleted, left, cleared = 0, 0, 0, 0
for p, name in ipairs(purposes) do
  if #stopped[p] > 0 then flagged = flagged + try('SADD', 'default:' .. name, unpack(stopped[p])) end
end
if #profiles > 0 then deleted = redis.call('UNLINK', unpack(profiles)) end

-- A segment whose purpose is not one of ours may hold nobody.
local segments = redis.call('HGETALL', prefix .. 'segments')
for i = 1, #segments, 2 do
  local list = everyone
  if place[segments[i + 1]] then list = shut[place[segments[i + 1]]] end
  if #list > 0 then left = left + try('SREM', 'segment:' .. segments[i], unpack(list)) end
end

for p, name in ipairs(purposes) do
  if #allowed[p] > 0 then cleared = cleared + try('SREM', 'default:' .. name, unpack(allowed[p])) end
end
return done({late, deleted, left, flagged, cleared, #segments / 2})
