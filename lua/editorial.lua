-- An editor's hand on one item of a site: set or removed (store/editorial.c). Ended ones make room when it is full.
--
-- KEYS   the site's editorial
-- ARGV   1 field, 2 now in ms, 3 how many may be kept, 4 value: until in ms (0: open), a space, JSON; "" removes
-- Reply  1 done, 0 full

if ARGV[4] == '' then
    redis.call('HDEL', KEYS[1], ARGV[1])
    return 1
end
local most, now = tonumber(ARGV[3]), tonumber(ARGV[2])
if redis.call('HLEN', KEYS[1]) >= most then
    local held = redis.call('HGETALL', KEYS[1])
    for i = 1, #held, 2 do
        local till = tonumber(string.match(held[i + 1], '^%d+') or 0)
        if till > 0 and till <= now then redis.call('HDEL', KEYS[1], held[i]) end
    end
end
if redis.call('HLEN', KEYS[1]) >= most and redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
return 1
