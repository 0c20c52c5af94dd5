-- A cloud has refused a call because there were too many: all replicas make fewer.
-- KEYS: the boot marker, the action's slots. ARGV: those of boot.lua, when the call was sent, how long the cloud asks to wait, the
-- limit, the least rate, the pause, level and growth in seconds, and the cut once growth has begun. Other times are
-- microseconds of the store, rates calls a second. Returns the time.
local MINUTE = 60000000

local sent, asked = math.min(tonumber(ARGV[3]), now), math.min(tonumber(ARGV[4]), MINUTE)
local limit, least, pause = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local level, growth, cut = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local state = redis.call('HMGET', KEYS[2], 'paused', 'rate', 'cut', 'since')
local paused = math.min(tonumber(state[1] or '0'), now + MINUTE)
local rate, deaf, since = tonumber(state[2] or '0'), tonumber(state[3] or '0'), tonumber(state[4] or '0')
if asked > 0 then paused = math.max(paused, now + asked) end
-- Calls that were in flight together are refused together, and tell once.
if rate == 0 or sent > deaf or deaf > now + MINUTE then
  local tried = (sent - since) / 1000000 - level
  if rate == 0 then
    rate = limit / 2
  elseif tried > 0 then
    rate = cut * rate * (1 + (tried / growth) ^ 3)
  else
    rate = rate / 2
  end
  rate = math.max(least, math.min(rate, limit))
  deaf = math.max(now, sent + pause)
  paused = math.max(paused, deaf)
  since = deaf
end
since = math.max(since, paused)
redis.call('HSET', KEYS[2], 'paused', string.format('%.0f', paused), 'rate', tostring(rate),
  'cut', string.format('%.0f', deaf), 'since', string.format('%.0f', since), 'resumed', '0')
redis.call('EXPIRE', KEYS[2], 240)
return {now}
