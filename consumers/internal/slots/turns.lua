-- Follows doubt.lua in the scripts that act.

-- turns returns the places in ARGV of the turns that count, and how many are
-- late. A turn begins with subject and offset and is `width` values long.
--
-- A turn counts while its subject waits in the outbox for a change that the turn
-- knows of, and nothing newer was acted on since. What was acted on stands in
-- `acted` (sorted set: subject → offset) for as long as the subject waits.
local function turns(first, width)
  local subjects, places, late = {}, {}, 0
  for at = first, #ARGV, width do subjects[#subjects + 1] = ARGV[at] end
  local waits = redis.call('ZMSCORE', prefix .. 'outbox', unpack(subjects))
  local acted = redis.call('ZMSCORE', prefix .. 'acted', unpack(subjects))
  local marks = {}
  for i, subject in ipairs(subjects) do
    local at = first + (i - 1) * width
    local offset = tonumber(ARGV[at + 1])
    if waits[i] and tonumber(waits[i]) <= offset and (not acted[i] or tonumber(acted[i]) <= offset) then
      places[#places + 1] = at
      marks[#marks + 1] = ARGV[at + 1]
      marks[#marks + 1] = subject
    else
      late = late + 1
    end
  end
  if #marks > 0 then redis.call('ZADD', prefix .. 'acted', unpack(marks)) end

  -- Twice as many are looked at as came, so that the set stays about as small as
  -- the outbox.
  local old = redis.call('ZRANGE', prefix .. 'acted', 0, 2 * #subjects - 1)
  if #old > 0 then
    local gone = {}
    for i, score in ipairs(redis.call('ZMSCORE', prefix .. 'outbox', unpack(old))) do
      if not score then gone[#gone + 1] = old[i] end
    end
    if #gone > 0 then redis.call('ZREM', prefix .. 'acted', unpack(gone)) end
  end
  return places, late
end

-- try runs a command on a key that others write too. When it cannot be run, for
-- the key is of another type, it returns 0 and true; the other keys are brought
-- in line all the same, and done() makes the whole an error.
local failed
local function try(command, name, ...)
  local reply = redis.pcall(command, prefix .. name, ...)
  if type(reply) == 'table' and reply.err then
    failed = failed or (command .. ' ' .. name .. ': ' .. reply.err)
    return 0, true
  end
  return reply, false
end

local function done(reply)
  if failed then return redis.error_reply(failed) end
  return reply
end
