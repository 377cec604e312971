-- Sets fields of a hash, at the memory limit too: the offsets of a projection (else the log could not be trimmed, which
-- would free memory) and how far a rebuild is. The HDEL removes nothing; after a write Redis lets a script continue at the
-- limit.
--
-- KEYS   the hash
-- ARGV   per field: its name, its value
-- Reply  how many of them are new

redis.call('HDEL', KEYS[1], '')
return redis.call('HSET', KEYS[1], unpack(ARGV))
