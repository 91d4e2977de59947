-- Lays or lifts a hold from outside the partition's order. holds.lua stands in front.
-- KEYS[1]: held. ARGV: 1 '1' to release or '', 2 member, 3 position.
lay(KEYS[1], ARGV[1] == '1', ARGV[2], ARGV[3])
return '0'
