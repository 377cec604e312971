-- include: item
-- Splits one bucket of an item's voters (linear hashing: src/model/voters.h). The first takes the voters out of the item.
--
-- KEYS   item, bucket that is split, new bucket (the same when it is the first)
-- ARGV   1 buckets now, 2 modulus, 3 number of the new bucket
-- Reply  buckets after; unchanged when another has split already

local items = item_module()
local packed = redis.call('GET', KEYS[1])
local item = packed and items.open(packed, 0)
if not item or item.buckets ~= tonumber(ARGV[1]) then return item and item.buckets or 0 end
local modulus, target = tonumber(ARGV[2]), tonumber(ARGV[3])
local moved, kept = {}, {}

-- 64 bits are more than a Lua number holds: taken in two halves.
local function goes(voter)
    local low, high = struct.unpack('<I4I4', voter)
    return ((high % modulus) * (4294967296 % modulus) + low) % modulus == target
end

local function set_all(key, pairs_of)
    for i = 1, #pairs_of, 1000 do redis.call('HSET', key, unpack(pairs_of, i, math.min(i + 999, #pairs_of))) end
end

if item.buckets == 0 then
    moved, item.voters = items.voters(item), ''
else
    -- Both are written anew: a hash that once outgrew the compact encoding never returns to it by itself.
    local voters = redis.call('HGETALL', KEYS[2])
    for i = 1, #voters, 2 do
        local to = goes(voters[i]) and moved or kept
        to[#to + 1], to[#to + 2] = voters[i], voters[i + 1]
    end
    redis.call('UNLINK', KEYS[2])
end
set_all(KEYS[3], moved)
set_all(KEYS[2], kept)
item.buckets = item.buckets + 1
redis.call('SET', KEYS[1], items.pack(item))
return item.buckets
