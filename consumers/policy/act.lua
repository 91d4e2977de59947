-- Brings the calendar of one slot in line with where subjects stand.
-- ARGV  per subject: id, offset of its version, when its agreement ended, when its
--       first review is due ('' where there is none), and for suppression the
--       hashes under the keys in use, separated by spaces, and what to note of the
--       erasure: '' lifts, '.' leaves alone
-- Reply: late, retentions begun, retentions ended, reviews due later, suppressed, lifted
local function score(set, subject, value)
  if value == '' then return 0, try('ZREM', set, subject) end
  return try('ZADD', set, value, subject), 0
end

local counted, late = turns(1, 6)
local begun, ended, open, suppressed, lifted = 0, 0, 0, 0, 0
for _, at in ipairs(counted) do
  local subject, review, note = ARGV[at], ARGV[at + 3], ARGV[at + 5]
  local more, less = score('ended', subject, ARGV[at + 2])
  begun, ended = begun + more, ended + less

  -- A review that was alarmed stays so until another date replaces it.
  local alarmed = try('ZSCORE', 'overdue', subject)
  if review == '' or not alarmed or tonumber(alarmed) ~= tonumber(review) then
    try('ZREM', 'overdue', subject)
    open = open + score('reviews', subject, review)
  end

  if note ~= '.' then
    local first = true
    for hash in string.gmatch(ARGV[at + 4], '%S+') do
      if note == '' then
        lifted = lifted + try('HDEL', 'suppressed', hash)
      elseif first then
        suppressed = suppressed + try('HSETNX', 'suppressed', hash, note)
      end
      first = false
    end
  end
end
return done({late, begun, ended, open, suppressed, lifted})
