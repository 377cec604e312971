-- An item from an export: its card and what was counted of its views (store/transfer.c). Set, not added: again is fine.
--
-- KEYS   item, log, version of the sums, newest cards of the site in this partition, unique visitors
-- ARGV   1 accept time in ms, 2 id, 3 site, 4 reference (8 bytes), 5 card, 6 categories, 7 published (ms), 8 base,
--        9 newest cards to keep, 10 "1" if there is a card, 11 unique visitors (HyperLogLog) or "",
--        12 views (packed sums)
-- Reply  array: status (0 done, 3 another item's reference, 4 the unique visitors are not usable), id of the log entry

redis.call('XLEN', KEYS[2])
local held = redis.call('HMGET', KEYS[1], 'id', 'site', 'cats')
if held[1] and (held[1] ~= ARGV[2] or held[2] ~= ARGV[3]) then return {3, ''} end
if ARGV[11] ~= '' then
    local before = redis.call('GET', KEYS[5])
    redis.call('SET', KEYS[5], ARGV[11])
    if type(redis.pcall('PFCOUNT', KEYS[5])) ~= 'number' then
        if before then redis.call('SET', KEYS[5], before) else redis.call('DEL', KEYS[5]) end
        return {4, ''}
    end
end
redis.call('HSET', KEYS[1], 'id', ARGV[2], 'site', ARGV[3])
if ARGV[8] ~= '' then redis.call('HSET', KEYS[1], 'base', ARGV[8]) end
local record = ''
if ARGV[10] == '1' then
    local old = held[3] or ''
    local time = tonumber(ARGV[7]) > 0 and ARGV[7] or ARGV[1]
    redis.call('HSET', KEYS[1], 'card', ARGV[5], 'cats', ARGV[6], 'published', ARGV[7])
    redis.call('ZADD', KEYS[4], '-' .. time, ARGV[2])
    redis.call('ZREMRANGEBYRANK', KEYS[4], ARGV[9], -1)
    record = 'C' .. ARGV[4] .. struct.pack('<I2', #old) .. old
end
redis.call('HINCRBY', KEYS[3], 'version', 1)
record = record .. 'I' .. ARGV[4] .. string.char(#ARGV[3]) .. ARGV[3] .. struct.pack('<I2', #ARGV[2]) .. ARGV[2]
    .. struct.pack('<I2', #ARGV[12]) .. ARGV[12]
return {0, redis.call('XADD', KEYS[2], '*', '1', struct.pack('<d', tonumber(ARGV[1])) .. record)}
