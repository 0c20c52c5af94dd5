-- The store's microseconds since 1970, in front of each script; tests put another clock here.
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
