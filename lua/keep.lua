-- Sets fields of a hash, also when Redis is at its memory limit: the offset of a projection (what was accepted is
-- projected, and then its entries can be trimmed), or how far a rebuild is. Redis lets a script that has written go on at
-- the limit, even if the first write removes nothing.
--
-- KEYS   the hash
-- ARGV   per field: its name, its value
-- Reply  how many of them are new

redis.call('HDEL', KEYS[1], '')
return redis.call('HSET', KEYS[1], unpack(ARGV))
