-- Claims the projection for one plan (project/claim.c). A service with another plan waits while this one renews its claim.
--
-- Several services may have one plan. Each renewal puts the renewing service into the record and keeps the one before. If
-- the service in the record releases it, the one before gets it back, so that a service with another plan still waits.
--
-- KEYS   engaged:meta
-- ARGV   1 fingerprint of the plan, 2 the service's instance, 3 generation of its processes, 4 now (ms),
--        5 how long a claim holds (ms), 6 "release" to give it back
-- Reply  0 the caller has the claim (or has released it); else for how many ms more another has it

local held = redis.call('HMGET', KEYS[1], 'plan', 'projector', 'projector-at', 'projector-before')
local instance, generation = string.match(held[2] or '', '^(%x+):(%d+)$')
local before, before_at = string.match(held[4] or '', '^(%x+:%d+) (%d+)$')
local now, holds = tonumber(ARGV[4]), tonumber(ARGV[5])
if ARGV[6] == 'release' then
    if before == ARGV[2] .. ':' .. ARGV[3] then redis.call('HDEL', KEYS[1], 'projector-before') end
    if held[1] ~= ARGV[1] or instance ~= ARGV[2] or generation ~= ARGV[3] then return 0 end
    redis.call('HDEL', KEYS[1], 'projector-before')
    if before and math.abs(now - before_at) < holds then
        redis.call('HSET', KEYS[1], 'projector', before, 'projector-at', before_at)
    else
        redis.call('HDEL', KEYS[1], 'plan', 'projector', 'projector-at')
    end
    return 0
end
local age = math.abs(now - (tonumber(held[3] or 0) or 0)) -- a clock that is far ahead makes no claim longer
if held[1] and held[1] ~= ARGV[1] and instance ~= ARGV[2] and age < holds then return holds - age end
redis.call('HDEL', KEYS[1], '') -- removes nothing; after a write Redis lets a script continue at the memory limit
if held[1] ~= ARGV[1] then
    redis.call('HDEL', KEYS[1], 'projector-before')
elseif instance and instance ~= ARGV[2] then
    redis.call('HSET', KEYS[1], 'projector-before', held[2] .. ' ' .. (held[3] or 0))
end
redis.call('HSET', KEYS[1], 'plan', ARGV[1], 'projector', ARGV[2] .. ':' .. ARGV[3], 'projector-at', ARGV[4])
return 0
