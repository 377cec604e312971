-- include: may
-- include: item
-- Deletes an item (store/delete.c): card, votes, voters, unique visitors, neighbours; and, once everything that was
-- acknowledged before is projected, its views. A record in the log has the projector remove it from the rankings, the
-- site's total and the tables of its neighbours. Commands that free memory come first: after a write Redis lets a script
-- continue at the memory limit.
--
-- KEYS   item, card, log, version of the sums, version of the neighbours, tombstones of format 2, unique visitors,
--        neighbours, newest cards of the site in this partition, sums, then the voters' buckets
-- ARGV   1 accept time in ms, 2 id, 3 name (text8 site, text16 id), 4 reference (8 bytes), 5 next version of the sums,
--        6 next version of the neighbours, 7 "1" to delete the views as well, 8 "1" to delete only if item and sums are
--        still those that were read (store/state_reads.c): 9 the item, 10 the sums
-- Reply  array: status (0 not there or changed, 1 deleted, 2 retry with that many buckets, 3 another item has the
--        reference), buckets, id of the log entry or ""

local FIXED_KEYS, TEXT_MOST = 10, 65535

-- The key's text; "" if it is of a wrong type or too long.
local function text_at(key)
    local text = redis.pcall('GET', key)
    return type(text) == 'string' and #text <= TEXT_MOST and text or ''
end

local function text16(text)
    return struct.pack('<I2', #text) .. text
end

redis.call('XLEN', KEYS[3])
local items, whole = item_module(), ARGV[7] == '1'
local packed = redis.call('GET', KEYS[1])
if ARGV[8] == '1' and (packed ~= ARGV[9] or (redis.call('GET', KEYS[10]) or '') ~= ARGV[10]) then return {0, 0, ''} end
local item = packed and assert(items.open(packed, 0)) or items.new(ARGV[3], 0)
if not items.is_named(item, ARGV[3]) then return {3, 0, ''} end
if item.buckets ~= #KEYS - FIXED_KEYS then return {2, item.buckets, ''} end
local _, _, groups = items.split_meta(item.meta)
local sums, neighbours = whole and text_at(KEYS[10]) or '', text_at(KEYS[8])

may('ZREM', KEYS[9], '')
may('HSET', KEYS[4], '', '')
may('XADD', KEYS[3], '*', '1', '')
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[7], KEYS[8])
for i = FIXED_KEYS + 1, #KEYS do redis.call('UNLINK', KEYS[i]) end
if whole then
    redis.call('UNLINK', KEYS[10])
    redis.call('ZREM', KEYS[6], ARGV[4])
end
redis.call('ZREM', KEYS[9], ARGV[2])
redis.call('HSET', KEYS[4], 'version', ARGV[5])
redis.call('HSET', KEYS[5], 'version', ARGV[6])
local entry = redis.call('XADD', KEYS[3], '*', '1', struct.pack('<d', tonumber(ARGV[1])) .. 'E' .. ARGV[4] .. ARGV[3]
    .. text16(groups) .. text16(sums) .. text16(neighbours))
return {packed and 1 or 0, item.buckets, entry}
