-- Grants the next slots of one action: when calls may go out, evenly spaced, so that all replicas together keep its rate.
-- KEYS: the boot marker, the members, the most that there were lately, the action's slots, the account's sequence.
-- ARGV: those of boot.lua, the member, the last slot and the last sequence that it has had, how many slots it wants, the most calls in a window, the window, the configured replicas, and of
-- throttling: level and growth in seconds, lull and how long it is remembered in microseconds.
-- Returns the time, microseconds until asking makes sense, the first slot, the gap, how many, the first sequence, and
-- the calls in a window at present. All times are in microseconds.
local EXPIRY, STEP, KEPT = 3000000, 16, 86400

local member, last = ARGV[3], tonumber(ARGV[4])
local want, most, window = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])

local function none(wait, calls)
  return {now, math.max(1, math.ceil(wait)), 0, 0, 0, 0, tostring(calls or 0)}
end

if closed > 0 then return none(closed) end

-- A member that has just come may have called on its own: it counts once that has left the window.
local alive, counted, mine = 0, 0, nil
local known = redis.call('HGETALL', KEYS[2])
for i = 1, #known, 2 do
  local heard, joined = string.match(known[i + 1], '^(%d+) (%d+)$')
  heard, joined = tonumber(heard), tonumber(joined)
  if heard <= now and heard > now - EXPIRY then
    alive = alive + 1
    if joined <= now - WINDOW then counted = counted + 1 end
    if known[i] == member then mine = joined end
  end
end
if not mine then return none(WINDOW) end
if mine > now - WINDOW then return none(mine + WINDOW - now) end

-- Who is missing may call on its own, whole calls in a window.
local replicas = tonumber(ARGV[9])
local all = math.max(replicas, alive, tonumber(redis.call('GET', KEYS[3]) or '0'))
local calls = most - (all - counted) * math.floor(most / replicas)
if calls < 1 then return none(AHEAD) end

local state = redis.call('HMGET', KEYS[4], 'next', 'paused', 'rate', 'since', 'resumed')
local next, paused, rate = tonumber(state[1] or '0'), tonumber(state[2] or '0'), tonumber(state[3] or '0')
local gap = window / calls
local resumed = tonumber(state[5] or '0')
if paused > now + 61000000 then paused = 0 end
if rate > 0 then
  local since = tonumber(state[4])
  if now - math.max(next, paused) > tonumber(ARGV[12]) + WINDOW / rate then resumed = now end
  local level, growth = tonumber(ARGV[10]), tonumber(ARGV[11])
  local tried = math.min(now - since, now - resumed + level * 1000000 - tonumber(ARGV[12])) / 1000000
  local grown = rate * (1 + (math.max(0, tried - level) / growth) ^ 3)
  if now - since > tonumber(ARGV[13]) or since > now + 61000000 or WINDOW / grown <= gap then
    redis.call('HDEL', KEYS[4], 'rate', 'since', 'cut', 'resumed')
    rate = 0
  else
    gap = WINDOW / grown
    calls = window / gap
  end
end
gap = math.ceil(gap)

if last > 0 then next = math.max(next, last + gap) end
-- If the clock went back, slots lie further ahead than any that is granted.
next = math.min(next, now + AHEAD + gap)
local first = math.max(next, now, paused)
local count = math.min(want, math.floor((now + AHEAD - first) / gap) + 1)
local ttl = 120 + math.ceil(2 * gap / 1000000)
if count < 1 then
  redis.call('HSET', KEYS[4], 'next', string.format('%.0f', next))
  if rate > 0 then redis.call('HSET', KEYS[4], 'resumed', string.format('%.0f', resumed)) end
  redis.call('EXPIRE', KEYS[4], ttl)
  return none(first - now - AHEAD, calls)
end
redis.call('HSET', KEYS[4], 'next', string.format('%.0f', first + count * gap))
if rate > 0 then redis.call('HSET', KEYS[4], 'resumed', string.format('%.0f', resumed)) end
redis.call('EXPIRE', KEYS[4], ttl)

-- A slot's own microsecond, in whole sixteens, never one that was given before; see SequenceRule in slots.py.
local before = math.max(tonumber(redis.call('GET', KEYS[5]) or '0'), tonumber(ARGV[5]))
local sequence, start = before, nil
for i = 0, count - 1 do
  local slot = first + i * gap
  sequence = math.max(sequence + STEP, slot - slot % STEP)
  start = start or sequence
end
redis.call('SET', KEYS[5], string.format('%.0f', sequence), 'EX', KEPT)
return {now, 0, first, gap, count, start, tostring(calls)}
