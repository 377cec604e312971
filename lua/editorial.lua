-- Sets or removes the editorial rule of one item of a site (store/rules.c). When the hash is full, rules that have ended
-- make room.
--
-- KEYS   the site's editorial
-- ARGV   1 field, 2 now in ms, 3 how many may be kept, 4 value: until in ms (0: open), a space, JSON; "" removes; "block"
--        removes all but a block that is in force
-- Reply  1 done, 0 full

-- Within a text of the JSON each quote has a backslash before it: what is looked for here can't be one.
local function block_of(mark)
    local till = tonumber(string.match(mark, '^%d+') or 0)
    if not string.find(mark, ',"block":true', 1, true) or (till > 0 and till <= tonumber(ARGV[2])) then return nil end
    mark = string.gsub(mark, ',"pin":%d+', '', 1)
    mark = string.gsub(mark, ',"boost":[%d.eE+-]+', '', 1)
    return (string.gsub(mark, ',"bury":true', ',"bury":false', 1))
end

local left = ARGV[4] == 'block' and block_of(redis.call('HGET', KEYS[1], ARGV[1]) or '')
if ARGV[4] == '' or (ARGV[4] == 'block' and not left) then
    redis.call('HDEL', KEYS[1], ARGV[1])
    return 1
end
if left then
    redis.call('HDEL', KEYS[1], '') -- removes nothing: Redis lets a script that has written go on at the memory limit
    redis.call('HSET', KEYS[1], ARGV[1], left)
    return 1
end
local most, now, ended = tonumber(ARGV[3]), tonumber(ARGV[2]), {}
local size = redis.call('HLEN', KEYS[1])
if size >= most and redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
    local held = redis.call('HGETALL', KEYS[1])
    for i = 1, #held, 2 do
        local till = tonumber(string.match(held[i + 1], '^%d+') or 0)
        if till > 0 and till <= now then ended[#ended + 1] = held[i] end
    end
    if size - #ended >= most then return 0 end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[4]) -- first: all that were there may have ended
if ended[1] then redis.call('HDEL', KEYS[1], unpack(ended)) end
return 1
