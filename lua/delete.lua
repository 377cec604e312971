-- include: item
-- Deletes an item: card, votes and voters at once; a tombstone and a log entry for what is projected (store/items.c).
--
-- KEYS   item, card, log, version of the sums, version of the neighbours, tombstones, unique visitors, neighbours,
--        newest cards of the site in this partition, then the voters' buckets
-- ARGV   1 accept time in ms, 2 id, 3 name (text8 site, text16 id), 4 reference (8 bytes), 5 how long a tombstone is kept
--        in ms
-- Reply  array: status (0 was not there, 1 deleted, 2 retry with that many buckets, 3 another item's reference),
--        buckets, id of the log entry or ""

local FIXED_KEYS = 9
redis.call('XLEN', KEYS[3])
local items = item_module()
local packed = redis.call('GET', KEYS[1])
local item = packed and assert(items.open(packed, 0)) or items.new(ARGV[3], 0)
if not items.is_named(item, ARGV[3]) then return {3, 0, ''} end
if item.buckets ~= #KEYS - FIXED_KEYS then return {2, item.buckets, ''} end
local now, _, _, categories = tonumber(ARGV[1]), items.split_meta(item.meta)
redis.call('ZADD', KEYS[6], ARGV[1], ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', string.format('(%.0f', now - tonumber(ARGV[5])))
redis.call('HINCRBY', KEYS[4], 'version', 1)
redis.call('HINCRBY', KEYS[5], 'version', 1)
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[7], KEYS[8])
redis.call('ZREM', KEYS[9], ARGV[2])
for i = FIXED_KEYS + 1, #KEYS do redis.call('UNLINK', KEYS[i]) end
local entry = redis.call('XADD', KEYS[3], '*', '1', struct.pack('<d', now) .. 'D' .. ARGV[4] .. ARGV[3]
    .. struct.pack('<I2', #categories) .. categories)
return {packed and 1 or 0, item.buckets, entry}
