-- Brings marketing's keys of one slot in line with where subjects stand.
-- ARGV[1]   the purposes, separated by spaces
-- ARGV[2…]  per subject: id, offset of its version, a sign per purpose (+ - .)
-- Reply: late, left an audience, left a queue, suppressed, lifted, campaigns
local purposes, place = {}, {}
for name in string.gmatch(ARGV[1], '%S+') do
  purposes[#purposes + 1] = name
  place[name] = #purposes
end

local everyone, shut, stopped, allowed = {}, {}, {}, {}
for p = 1, #purposes do shut[p], stopped[p], allowed[p] = {}, {}, {} end
local counted, late = turns(2, 3)
for _, at in ipairs(counted) do
  local subject, signs = ARGV[at], ARGV[at + 2]
  everyone[#everyone + 1] = subject
  for p = 1, #purposes do
    local sign = string.sub(signs, p, p)
    local list = sign == '+' and allowed[p] or shut[p]
    list[#list + 1] = subject
    if sign == '-' then stopped[p][#stopped[p] + 1] = subject end
  end
end

-- Suppression comes first and is lifted last: a reader in between sees the
-- stricter of the two.
local suppressed, left, unqueued, lifted = 0, 0, 0, 0
for p, name in ipairs(purposes) do
  if #stopped[p] > 0 then suppressed = suppressed + try('SADD', 'suppressed:' .. name, unpack(stopped[p])) end
end

-- A campaign whose purpose is not one of ours may be sent to nobody.
local campaigns = redis.call('HGETALL', prefix .. 'campaigns')
for i = 1, #campaigns, 2 do
  local list = everyone
  if place[campaigns[i + 1]] then list = shut[place[campaigns[i + 1]]] end
  if #list > 0 then
    unqueued = unqueued + try('ZREM', 'queue:' .. campaigns[i], unpack(list))
    left = left + try('SREM', 'audience:' .. campaigns[i], unpack(list))
  end
end

for p, name in ipairs(purposes) do
  if #allowed[p] > 0 then lifted = lifted + try('SREM', 'suppressed:' .. name, unpack(allowed[p])) end
end
return done({late, left, unqueued, suppressed, lifted, #campaigns / 2})
