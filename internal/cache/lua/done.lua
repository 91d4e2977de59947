-- Takes subjects out of the outbox, except those whose state is another by now.
-- KEYS[2+i]: bucket of item i. ARGV: 1 epoch, then per item field, member and version acted on or ''.
if epoch and epoch ~= ARGV[1] then return reply(FENCED) end
if not epoch then return reply(MOVED) end
local gone = {}
for i = 3, #KEYS do
  local a = 3 * i - 7
  if sub(call('HGET', KEYS[i], ARGV[a]) or '', 1, 6) == ARGV[a + 2] then gone[#gone + 1] = ARGV[a + 1] end
end
if #gone > 0 then call('ZREM', OUTBOX, unpack(gone)) end
return reply(OK)
