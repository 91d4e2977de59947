-- Begins every script that writes to a partition: reads where it stands.
-- KEYS[1] is its pos, KEYS[2] its outbox; ARGV[1] the caller's epoch.
local call, sub, format = redis.call, string.sub, string.format
local POS, OUTBOX = KEYS[1], KEYS[2]
local OK, MOVED, FENCED, OUTDATED, DAMAGED, CAREFUL, CHUNK, GONE, DOUBT = '0', '1', '2', '3', '4', '5', '6', '7', '8'

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local pos = call('HMGET', POS, 'epoch', 'next', 'top', 'digest', 'fresh', 'receipted', 'chunk', 'stage', 'gone', 'torso')
local epoch, applied, top, digest, fresh, receipted, chunk, stage =
  pos[1], pos[2], pos[3] or '0', pos[4] or '0', pos[5] or '0', pos[6] or '0', pos[7] or '', pos[8] or ''

-- A script that failed in the middle (a key of the wrong type, say) leaves the
-- question mark that it set in front of its first write.
local torn = sub(chunk, -1) == '?'

-- A transaction wrote states, and its owner did not say that none was lost.
local doubt = sub(chunk, -2) == '!+'

-- It was built from a log that had lost its beginning: nothing proves that fresh.
local torso = pos[10]

local function whole(n) return format('%.0f', n) end

local function larger(a, b)
  if tonumber(a) < tonumber(b) then return b end
  return a
end

local function reply(code, skipped)
  local first = redis.pcall('ZRANGE', OUTBOX, 0, 0, 'WITHSCORES')
  if first.err then torn = true end -- of another type: only a fresh start helps
  return {code, time[1], time[2], epoch or '', applied or '', torn and '1' or '', first[2] or '',
    receipted, fresh, digest, top, whole(skipped or 0), stage}
end

-- Another generation took the partition's place: nothing of it counts any more.
if pos[9] then return reply(GONE) end

-- Freshness only moves forward and never ahead of the clock. When the clock is
-- far behind what is stored, it is another node's: then nothing is known.
local function renew(proved, covered)
  local was = tonumber(fresh)
  if was > now + 500 then was = 0 end
  if was > now then was = now end
  if torso then was = 0 elseif proved ~= '' then was = math.max(was, math.min(tonumber(proved), now)) end
  fresh, receipted = whole(was), larger(receipted, covered)
end
