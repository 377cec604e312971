-- Deletes an item: card, votes and voters at once; a tombstone and a log entry for what is projected (store/items.c).
--
-- KEYS   item, log, version of the sums, version of the neighbours, tombstones, unique visitors, neighbours,
--        newest cards of the site in this partition, then the voters' buckets
-- ARGV   1 accept time in ms, 2 id, 3 site, 4 reference (8 bytes), 5 how long a tombstone is kept in ms
-- Reply  array: status (0 was not there, 1 deleted, 2 retry with that many buckets, 3 another item's reference),
--        buckets, id of the log entry or ""

redis.call('XLEN', KEYS[2])
local held = redis.call('HMGET', KEYS[1], 'id', 'site', 'n', 'cats')
if held[1] and (held[1] ~= ARGV[2] or held[2] ~= ARGV[3]) then return {3, 0, ''} end
local buckets = tonumber(held[3] or 1)
if buckets ~= #KEYS - 8 then return {2, buckets, ''} end
local now, categories = tonumber(ARGV[1]), held[4] or ''
redis.call('ZADD', KEYS[5], ARGV[1], ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', string.format('(%.0f', now - tonumber(ARGV[5])))
redis.call('HINCRBY', KEYS[3], 'version', 1)
redis.call('HINCRBY', KEYS[4], 'version', 1)
redis.call('UNLINK', KEYS[1], KEYS[6], KEYS[7])
redis.call('ZREM', KEYS[8], ARGV[2])
for i = 9, #KEYS do redis.call('UNLINK', KEYS[i]) end
local entry = redis.call('XADD', KEYS[2], '*', '1', struct.pack('<d', now) .. 'D' .. ARGV[4]
    .. string.char(#ARGV[3]) .. ARGV[3] .. struct.pack('<I2', #ARGV[2]) .. ARGV[2]
    .. struct.pack('<I2', #categories) .. categories)
return {held[1] and 1 or 0, buckets, entry}
