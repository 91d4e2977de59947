-- Takes a partition over. An epoch is at least the clock's microseconds, so that
-- it never comes again after a flush; mend.lua leaves the one that it took away.
epoch = whole(math.max((epoch or call('HGET', POS, 'retired') or 0) + 1, time[1] * 1000000 + time[2]))
call('HSET', POS, 'epoch', epoch)
-- What is half written stays so, but nobody goes on with it: two owners may count alike.
if sub(chunk, -1) == '+' then
  call('HSET', POS, 'chunk', doubt and '!+' or '+')
elseif not torn then
  call('HDEL', POS, 'chunk')
end
return reply(OK)
