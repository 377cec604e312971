-- Splits one bucket of an item's voters (linear hashing: model/voters.h).
--
-- KEYS   item, bucket that is split, new bucket
-- ARGV   1 buckets now, 2 modulus, 3 number of the new bucket
-- Reply  buckets after; unchanged when another has split already

local buckets = tonumber(redis.call('HGET', KEYS[1], 'n') or 1)
if buckets ~= tonumber(ARGV[1]) or redis.call('EXISTS', KEYS[1]) == 0 then return buckets end
local modulus, target = tonumber(ARGV[2]), tonumber(ARGV[3])

-- A 63-bit decimal is more than a Lua number holds: taken in two halves.
local function remainder(decimal)
    local high, low = tonumber(string.sub(decimal, 1, -10)) or 0, tonumber(string.sub(decimal, -9))
    return ((high % modulus) * (1000000000 % modulus) + low) % modulus
end

-- Both are written anew: a hash that once outgrew the compact encoding never returns to it by itself.
local voters, moved, kept = redis.call('HGETALL', KEYS[2]), {}, {}
for i = 1, #voters, 2 do
    local to = remainder(voters[i]) == target and moved or kept
    to[#to + 1], to[#to + 2] = voters[i], voters[i + 1]
end
redis.call('UNLINK', KEYS[2])
for i = 1, #moved, 1000 do redis.call('HSET', KEYS[3], unpack(moved, i, math.min(i + 999, #moved))) end
for i = 1, #kept, 1000 do redis.call('HSET', KEYS[2], unpack(kept, i, math.min(i + 999, #kept))) end
redis.call('HSET', KEYS[1], 'n', buckets + 1)
return buckets + 1
