-- Who projects, and by which plan (project/claim.c): one with another plan waits while the present one is at work.
--
-- KEYS   engaged:meta
-- ARGV   1 fingerprint of the plan, 2 the service's instance, 3 generation of its processes, 4 now (ms),
--        5 how long a claim holds (ms), 6 "release": give it back
-- Reply  0: it is ours; else for how many ms more it is another's. Of a release: 0

local held = redis.call('HMGET', KEYS[1], 'plan', 'projector', 'projector-at')
local instance, generation = string.match(held[2] or '', '^(%x+):(%d+)$')
if ARGV[6] == 'release' then
    if held[1] == ARGV[1] and instance == ARGV[2] and generation == ARGV[3] then
        redis.call('HDEL', KEYS[1], 'plan', 'projector', 'projector-at')
    end
    return 0
end
local now, holds = tonumber(ARGV[4]), tonumber(ARGV[5])
local age = math.abs(now - (tonumber(held[3] or 0) or 0)) -- one of a clock that is far ahead holds no longer than others
if held[1] and held[1] ~= ARGV[1] and instance ~= ARGV[2] and age < holds then return holds - age end
redis.call('HDEL', KEYS[1], '') -- removes nothing: Redis lets a script that has written go on at the memory limit
redis.call('HSET', KEYS[1], 'plan', ARGV[1], 'projector', ARGV[2] .. ':' .. ARGV[3], 'projector-at', ARGV[4])
return 0
