-- Applies one chunk of a batch: everything is checked, then written; the last
-- chunk moves the position. mark.lua and holds.lua stand in front.
-- KEYS[3]: held. KEYS[4] and on: buckets, each with the changes that ARGV[15] says.
-- ARGV: 1 epoch, 2 from, 3 to, 4 attempt, 5 number of the chunk, 6 '1' on the
-- last, 7 what the changes add to the digest, 8 proved fresh at or '', 9 receipts
-- cover, 10 how many subjects are new (-1: transactions lost states), 11 changes, 12 per change what the careful
-- way needs or '', 13 outbox entries, 14 holds, 15 a byte per bucket: how many of
-- the changes, in their order, are its; then per change field and state,
-- per outbox entry score and member, per hold '1' to release or '', member and position;
-- the last two: revision of the policy, and the stage of the partition behind the batch.
local to, attempt, k, proofs, runs = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[12], ARGV[15]
local FIRST = 16 -- field and state of the first change
local byte = string.byte
local n, m, h = tonumber(ARGV[11]), tonumber(ARGV[13]), tonumber(ARGV[14])

if epoch and epoch ~= ARGV[1] then return reply(FENCED) end
if torn then return reply(DAMAGED) end
if not epoch or applied ~= ARGV[2] then return reply(MOVED) end
local before = attempt .. ':' .. whole(k - 1)
if k > 0 and chunk ~= before .. '+' and chunk ~= before .. '!+' then return reply(CHUNK) end
if k == 0 and doubt then return reply(DOUBT) end

-- No stored version is at or above top. A batch from there on cannot meet a newer
-- state, so the position alone proves what comparing every version would.
if k == 0 and n > 0 and proofs == '' and tonumber(ARGV[2]) < tonumber(top) then return reply(CAREFUL) end

-- The careful way, for replays and repeated batches: only what was folded from
-- the stored state is written. 13 bytes per change: version it was folded from
-- and what it adds to the digest, 48 bits each, and '1' if it goes into the outbox.
local function number(s, i)
  local a, b, c, d, e, f = byte(s, i, i + 5)
  if not f then return -2 end
  return ((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f
end

local delta, skip, bucket, skipped = tonumber(ARGV[7]), nil, nil, 0
if proofs ~= '' then
  -- What is skipped was put into the outbox when it was written, if that is one.
  local kind = call('TYPE', OUTBOX).ok
  if kind ~= 'zset' and kind ~= 'none' then return reply(DAMAGED) end
  delta, skip, bucket = 0, {}, {}
  for key = 4, #KEYS do
    for _ = 1, byte(runs, key - 3) do bucket[#bucket + 1] = KEYS[key] end
  end
  for i = 1, n do
    local at, field = 13 * (i - 1) + 1, FIRST + 2 * (i - 1)
    local prev, new = number(proofs, at), number(ARGV[field + 1], 1)
    if prev == 281474976710655 then prev = -1 end
    local stored = call('HGET', bucket[i], ARGV[field])
    stored = stored and number(stored, 1) or -1
    if stored == prev then
      delta = (delta + number(proofs, at + 6)) % 281474976710656 -- at each step: a double holds 2^53
    elseif stored >= new then
      skip[i], skipped = true, skipped + 1
    else
      return reply(stored > prev and OUTDATED or DAMAGED)
    end
  end
end

-- From here on everything is written. The position goes first, with its question mark.
local mark = attempt .. ':' .. ARGV[5]
top = larger(top, to)
call('HSET', POS, 'chunk', mark .. '?', 'top', top)
torn = true

local a = FIRST + 2 * n
if m > 0 and skipped == 0 then
  call('ZADD', OUTBOX, 'LT', unpack(ARGV, a, a + 2 * m - 1))
elseif m > 0 then
  local entry = a
  for i = 1, n do
    if sub(proofs, 13 * i, 13 * i) == '1' then
      if not skip[i] then call('ZADD', OUTBOX, 'LT', ARGV[entry], ARGV[entry + 1]) end
      entry = entry + 2
    end
  end
end
a = a + 2 * m
for i = a, a + 3 * (h - 1), 3 do
  lay(KEYS[3], ARGV[i] == '1', ARGV[i + 1], ARGV[i + 2])
end

if skipped == 0 then
  local added, field = 0, FIRST
  for key = 4, #KEYS do
    local run = byte(runs, key - 3)
    if run == 1 then
      added = added + call('HSET', KEYS[key], ARGV[field], ARGV[field + 1])
    else
      added = added + call('HSET', KEYS[key], unpack(ARGV, field, field + 2 * run - 1))
    end
    field = field + 2 * run
  end
  -- More is new than the caller knew of: states were lost behind our back.
  if added ~= tonumber(ARGV[10]) then return reply(DAMAGED) end
else
  for i = 1, n do
    if not skip[i] then
      local field = FIRST + 2 * (i - 1)
      call('HSET', bucket[i], ARGV[field], ARGV[field + 1])
    end
  end
end

digest = whole((digest + delta) % 281474976710656)
torn = false
if ARGV[6] ~= '1' then
  call('HSET', POS, 'chunk', mark .. '+', 'digest', digest)
  return reply(OK, skipped)
end
applied, stage = to, ARGV[#ARGV]
renew(ARGV[8], ARGV[9])
call('HSET', POS, 'chunk', mark, 'digest', digest, 'next', to, 'fresh', fresh, 'receipted', receipted,
  'policy', ARGV[#ARGV - 1], 'stage', stage)
return reply(OK, skipped)
