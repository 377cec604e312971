-- A card: kept with its item; when categories or publication changed, the log says so (store/items.c).
--
-- KEYS   item, log, version of the sums, newest cards of the site in this partition
-- ARGV   1 accept time in ms, 2 id, 3 site, 4 reference (8 bytes), 5 card, 6 categories (joined by 0x1f),
--        7 published (ms), 8 base ("views votes votes …", or "" to keep what is there), 9 newest cards to keep
-- Reply  array: status (0 new, 1 existed, 3 another item's reference), id of the log entry or ""

redis.call('XLEN', KEYS[2])
local held = redis.call('HMGET', KEYS[1], 'id', 'site', 'cats', 'published')
if held[1] and (held[1] ~= ARGV[2] or held[2] ~= ARGV[3]) then return {3, ''} end
local set = {'id', ARGV[2], 'site', ARGV[3], 'card', ARGV[5], 'cats', ARGV[6], 'published', ARGV[7]}
if ARGV[8] ~= '' then
    set[#set + 1], set[#set + 2] = 'base', ARGV[8]
end
redis.call('HSET', KEYS[1], unpack(set))
if tonumber(ARGV[7]) > 0 then
    redis.call('ZADD', KEYS[4], '-' .. ARGV[7], ARGV[2])
else
    redis.call('ZADD', KEYS[4], 'NX', '-' .. ARGV[1], ARGV[2])
end
redis.call('ZREMRANGEBYRANK', KEYS[4], ARGV[9], -1)
local entry = ''
if (held[3] or '') ~= ARGV[6] or (held[4] or '0') ~= ARGV[7] then
    local old = held[3] or ''
    redis.call('HINCRBY', KEYS[3], 'version', 1)
    entry = redis.call('XADD', KEYS[2], '*', '1',
        struct.pack('<d', tonumber(ARGV[1])) .. 'C' .. ARGV[4] .. struct.pack('<I2', #old) .. old)
end
return {held[1] and 1 or 0, entry}
