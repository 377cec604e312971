-- Sets or removes the editorial rule of one item (store/rules.c). When the hash is full, rules that have ended are removed.
--
-- KEYS   hash of the site's editorial rules
-- ARGV   1 field, 2 now in ms, 3 how many rules are kept, 4 value: end in ms (0: none), a space, JSON; or "" to remove the
--        rule; or "block" to remove all of it but a block that is in force
-- Reply  1 done, 0 full

-- The patterns can't match inside a text of the JSON, as each quote in a text follows a backslash.
local function block_of(rule)
    local till = tonumber(string.match(rule, '^%d+') or 0)
    if not string.find(rule, ',"block":true', 1, true) or (till > 0 and till <= tonumber(ARGV[2])) then return nil end
    rule = string.gsub(rule, ',"pin":%d+', '', 1)
    rule = string.gsub(rule, ',"boost":[%d.eE+-]+', '', 1)
    return (string.gsub(rule, ',"bury":true', ',"bury":false', 1))
end

local left = ARGV[4] == 'block' and block_of(redis.call('HGET', KEYS[1], ARGV[1]) or '')
if ARGV[4] == '' or (ARGV[4] == 'block' and not left) then
    redis.call('HDEL', KEYS[1], ARGV[1])
    return 1
end
if left then
    redis.call('HDEL', KEYS[1], '') -- removes nothing; after a write Redis lets a script continue at the memory limit
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
redis.call('HSET', KEYS[1], ARGV[1], ARGV[4]) -- before HDEL, which may remove all the others
if ended[1] then redis.call('HDEL', KEYS[1], unpack(ended)) end
return 1
