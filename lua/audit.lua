-- include: may
-- Adds an entry to a site's audit log, in place of an earlier one of the same call if there is one (store/audit_log.c). The
-- XTRIM that makes room for it comes first; after a write Redis lets a script continue at the memory limit.
--
-- KEYS   stream of the site
-- ARGV   1 how many entries are kept, 2 id of the entry that goes ("": none), 3 the entry, 4 from when on entries are kept
--        (ms), 5 for how long (ms; 0: for ever)
-- Reply  its id

local key, most, old, kept = KEYS[1], tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[5])
if old ~= '' then may('XDEL', key, old) end
may('XADD', key, '*', 'j', '')
may('PEXPIRE', key, 1)
may('PERSIST', key)
redis.call('XTRIM', key, 'MAXLEN', most)
redis.call('XTRIM', key, 'MINID', ARGV[4])
if old ~= '' then redis.call('XDEL', key, old) end
local id = redis.call('XADD', key, 'MAXLEN', most, '*', 'j', ARGV[3])
if kept > 0 then redis.call('PEXPIRE', key, kept) else redis.call('PERSIST', key) end
return id
