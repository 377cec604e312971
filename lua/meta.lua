-- Records at the first start how the data is made, and compares it at every later start (store/handshake.c). Tools, and
-- processes that have not taken over yet, only compare.
--
-- KEYS   engaged:meta
-- ARGV   1 format, 2 partitions, 3 fingerprint of the hash key, 4 kinds of vote (new ones may only be added at the end),
--        5 "record" or ""
-- Reply  "" if all agrees, else one line that says what differs

-- The oldest format that this program still reads. It writes the present format only.
local OLDEST = 2

local held = redis.call('HMGET', KEYS[1], 'format', 'partitions', 'hash-key', 'kinds')
if held[1] then
    local known = held[4] .. ' '
    local format, newest = tonumber(held[1]) or 0, tonumber(ARGV[1])
    local reads = ', this program reads ' .. OLDEST .. ' to ' .. ARGV[1]
    if format > newest then return 'the data has format ' .. held[1] .. ' of a newer program' .. reads end
    if format < OLDEST or format % 1 ~= 0 then
        return 'the data has format ' .. held[1] .. reads .. ': take it over with the export of the program that wrote it'
    end
    if held[2] ~= ARGV[2] then return 'partitions: the data has ' .. held[2] .. ', the setting says ' .. ARGV[2] end
    if held[3] ~= ARGV[3] then return 'hash_key: not the key that the data was made with' end
    if string.sub(ARGV[4] .. ' ', 1, #known) ~= known then
        return 'kinds: the data has "' .. held[4] .. '", new ones may only be added behind these'
    end
end
if ARGV[5] == '' then return '' end
redis.call('HDEL', KEYS[1], '') -- removes nothing; after a write Redis lets a script continue at the memory limit
redis.call('HSET', KEYS[1], 'format', ARGV[1], 'partitions', ARGV[2], 'hash-key', ARGV[3], 'kinds', ARGV[4])
return ''
