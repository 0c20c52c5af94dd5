-- A replica says that it is there and asks who else is, or, without a time, that it is not to be counted on.
-- KEYS: the boot marker, the members, and the most that there were lately. ARGV: those of boot.lua, the member, and the
-- store's time when the heartbeat was sent, or 0. Returns the time, whether it was taken, members alive, and the most.
local LATE, EXPIRY, SETTLED, KEPT, LATELY = 500000, 3000000, 5000000, 60, 3600

local member, sent = ARGV[3], tonumber(ARGV[4])
local alive, settled, since = 0, 0, now
local known = redis.call('HGETALL', KEYS[2])
for i = 1, #known, 2 do
  local heard, joined = string.match(known[i + 1], '^(%d+) (%d+)$')
  heard, joined = tonumber(heard), tonumber(joined)
  if heard > now or heard <= now - EXPIRY then
    redis.call('HDEL', KEYS[2], known[i])
  elseif known[i] == member then
    since = joined
  else
    alive = alive + 1
    if joined <= now - SETTLED then settled = settled + 1 end
  end
end
local most = tonumber(redis.call('GET', KEYS[3]) or '0')
local taken = 1
if sent == 0 then
  if redis.call('HDEL', KEYS[2], member) == 1 and most > 0 then
    most = most - 1
    redis.call('SET', KEYS[3], most, 'EX', LATELY)
  end
elseif sent > now or sent < now - LATE then
  -- A server that stood still executes old commands when it goes on.
  taken = 0
else
  redis.call('HSET', KEYS[2], member, string.format('%.0f %.0f', now, since))
  redis.call('EXPIRE', KEYS[2], KEPT)
  alive = alive + 1
  if since <= now - SETTLED then settled = settled + 1 end
  if settled >= most then
    most = settled
    redis.call('SET', KEYS[3], most, 'EX', LATELY)
  end
end
return {now, taken, alive, most}
