-- include: may
-- Begins the rebuild of a partition's rankings (store/rebuild_scan.c): removes its plan and its cutoffs, also those of open
-- periods, and changes the version. All or nothing: rankings without their cutoffs, but with a plan, would count as
-- complete.
--
-- KEYS   offsets, cutoffs, applied ids of the sums, then the cutoffs of the open periods
-- ARGV   1 names of the rankings that are kept up to date from now on, 2 next version, 3 fingerprint of the plan
-- Reply  1

may('HSET', KEYS[1], '', '')
may('DEL', KEYS[2])
redis.call('HDEL', KEYS[1], '') -- removes nothing; after a write Redis lets a script continue at the memory limit
redis.call('HSET', KEYS[3], 'version', ARGV[2])
redis.call('HSET', KEYS[1], 'rankings', ARGV[1], 'begun', ARGV[3])
redis.call('HDEL', KEYS[1], 'plan')
redis.call('DEL', KEYS[2])
for i = 4, #KEYS do redis.call('DEL', KEYS[i]) end
return 1
