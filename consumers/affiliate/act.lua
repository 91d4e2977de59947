-- Brings affiliate's keys of one slot in line with where subjects stand.
-- ARGV[1]   now, Unix milliseconds
-- ARGV[2]   how many partners
-- ARGV[3…]  per partner: its id and purposes, separated by spaces
-- then      per subject: id, offset of its version, position of its version, and
--           per partner: a sign per purpose (+ - .), the pseudonyms separated by
--           spaces, and the stop to deliver ('' when nothing is stopped)
-- Reply: late, pseudonyms closed, opened again, stops queued
local partners = tonumber(ARGV[2])
local counted, late = turns(3 + partners, 3 + 3 * partners)
local closed, opened, queued = 0, 0, 0

local function append(list, items)
  for _, item in ipairs(items) do list[#list + 1] = item end
end

for k = 1, partners do
  local partner, purposes = nil, {}
  for word in string.gmatch(ARGV[2 + k], '%S+') do
    if partner then purposes[#purposes + 1] = word else partner = word end
  end

  -- What is stopped and what is allowed, purpose by purpose; whose[p][i] is the
  -- turn that the i-th stopped pseudonym belongs to.
  local stopped, allowed, whose = {}, {}, {}
  for p = 1, #purposes do stopped[p], allowed[p], whose[p] = {}, {}, {} end
  for _, at in ipairs(counted) do
    local signs, pseudonyms = ARGV[at + 3 * k], {}
    for pseudonym in string.gmatch(ARGV[at + 3 * k + 1], '%S+') do pseudonyms[#pseudonyms + 1] = pseudonym end
    for p = 1, #purposes do
      local sign = string.sub(signs, p, p)
      if sign == '+' then
        append(allowed[p], pseudonyms)
      elseif sign == '-' then
        append(stopped[p], pseudonyms)
        while #whose[p] < #stopped[p] do whose[p][#whose[p] + 1] = at end
      end
    end
  end

  -- A purpose that is closed under one of the subject's pseudonyms was told
  -- already; one that is closed under none makes the stop due.
  local due = {}
  for p, name in ipairs(purposes) do
    if #stopped[p] > 0 then
      local marks, told = try('SMISMEMBER', 'closed:' .. partner .. ':' .. name, unpack(stopped[p])), {}
      for i, at in ipairs(whose[p]) do
        if type(marks) == 'table' and marks[i] == 1 then told[at] = true end
      end
      for _, at in ipairs(whose[p]) do
        if not told[at] then due[at] = true end
      end
    end
  end

  -- The stop is queued before its pseudonyms are closed: a closed one was told.
  local lost = false
  for at in pairs(due) do
    local position = ARGV[at + 2]
    local _, bad = try('HSETNX', 'stops:' .. partner, position, ARGV[at + 3 * k + 2])
    local added, worse = try('ZADD', 'queue:' .. partner, 'NX', ARGV[1], position)
    queued = queued + added
    lost = lost or bad or worse
  end
  for p, name in ipairs(purposes) do
    local key = 'closed:' .. partner .. ':' .. name
    if #stopped[p] > 0 and not lost then closed = closed + try('SADD', key, unpack(stopped[p])) end
    if #allowed[p] > 0 then opened = opened + try('SREM', key, unpack(allowed[p])) end
  end
end
return done({late, closed, opened, queued})
