-- Sets `closed`: for how many microseconds nothing is granted. A store that is fresh, restarted, failed over, or set to
-- another time does not know what was granted before; that has to pass first.
-- KEYS[1]: the marker that says which run of the server it is, and since when it grants. ARGV: the server's run, empty
-- where it is not told, and whether the server's clock was seen to jump.
local AHEAD, WINDOW = 1000000, 1040000

local run, opens = string.match(redis.call('GET', KEYS[1]) or '', '^(%w*) (%d+)$')
opens = tonumber(opens)
if not run or ARGV[2] == '1' or (ARGV[1] ~= '' and run ~= '' and run ~= ARGV[1]) or opens > now + AHEAD + WINDOW then
  run, opens = nil, now + AHEAD + WINDOW
end
redis.call('SET', KEYS[1], string.format('%s %.0f', ARGV[1] ~= '' and ARGV[1] or run or '', opens), 'EX', 86400)
local closed = opens - now
