-- Fields of a hash that must be set at the memory limit as well: a projection's position (what was accepted is projected,
-- and then its entries can be trimmed), how far a rebuild is. Redis lets a script that has written go on at the limit, if
-- only to remove nothing.
--
-- KEYS   the hash
-- ARGV   per field: its name, its value
-- Reply  how many of them are new

redis.call('HDEL', KEYS[1], '')
return redis.call('HSET', KEYS[1], unpack(ARGV))
