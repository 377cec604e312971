-- include: may
-- include: item
-- Decides and logs the votes and retractions of one batch (store/vote_writes.c).
-- Items are read with one MGET and written with one MSET. Between them only voters' buckets are touched; a bucket of a
-- wrong type is detected before its vote changes anything. A bad item fails only its own votes, a bad log those of its
-- group. Voters leave their buckets last: while a Cluster moves the slot, a bucket that was emptied is gone and can't be
-- read any more.
--
-- KEYS   the items, each once; then a log per group (one partition); then the buckets that votes name
-- ARGV   1 accept time in ms, 2 number of kinds, 3 number of items, 4 number of groups; then per vote, by group and item:
--        its item's name (text8 site, text16 id), and the data of the vote:
--        u8 flags (1 begins an item, 2 begins a group, 4 only if the item has a card, 8 has a time of its own, which may be
--        older than the vote that is stored), u16 buckets that the caller believes the item has (0: its voters are in the
--        item; else KEYS has the vote's bucket), the beginning of its log record (src/model/entry.h: 'B', item, site,
--        voter, kind, time, or in all votes of the call 'V', without the site; kind 255 retracts), and, to retract only one vote, that vote (kind, time)
-- Reply  array: results of all votes in order, packed: u8 status, u8 kind now (255 none), u32 buckets, u32 voters,
--        u64 votes per kind (base included); then the ids of the groups' log entries, each followed by a space; no id
--        if nothing changed
-- Status 0 unchanged, 1 changed, 2 retry with these buckets, 3 another item has the reference, 4 data of a wrong type or
--        corrupt, 5 no card

-- The loop is long on purpose: Lua would create functions and the locals that they capture at every call, which costs a
-- small batch more than its votes. For the same reason an item is kept as the numbers of its packed head (src/model/item.h)
-- and one string, the tail, with all that follows them.

local UNCHANGED, CHANGED, RETRY, CLASH, BROKEN, NO_CARD = 0, 1, 2, 3, 4, 5
local FORMAT, FLAGS, KINDS, BUCKETS, VOTERS_AT, COUNTS = 1, 2, 3, 4, 5, 6 -- numbers of an item's head; FORMAT is also its value
local HEAD, COUNT, HEAD_FORMAT = 15, 4, '<BBBI2I2d' -- bytes of a head without counts, bytes of a count
local RECORD = 4 -- where a vote's record begins in its data; voter, kind and time end it
local ENTRY_SIZE, ENTRY_VOTE, ENTRY_TIME = 13, 9, 10 -- bytes of an entry: voter (8 bytes), kind, time, as an item holds it
local byte, sub, find, pack, unpack_bytes, call = string.byte, string.sub, string.find, struct.pack, struct.unpack, redis.call

-- Any other error is Redis's own (no memory, no disk). It comes before the first write and fails the whole call.
local function is_wrong_type(reply)
    if type(reply) ~= 'table' then return false end
    if string.sub(reply.err, 1, 9) ~= 'WRONGTYPE' then error(reply) end
    return true
end

local leaving -- by bucket: the voters that will be removed from it; nil: none

-- Whether a vote or retraction of the time `since` is newer than the stored vote. In one second the later line is newer.
local function follows(held, kind, since)
    local time = struct.unpack('<i4', held, 2)
    return since > time or (since == time and string.byte(held) ~= kind)
end

-- Replaces a voter's vote in a bucket. Returns the vote before, and whether it was replaced (nil: the bucket is not
-- usable). `kind` 255 retracts `only` that vote, or any vote if it is ''.
local function swap_in_bucket(bucket, voter, vote, kind, only, since)
    local left = leaving and leaving[bucket]
    if left and left[voter] then
        if kind == 255 then return nil, false end
        left[voter] = nil
        redis.call('HSET', bucket, voter, vote)
        return nil, true
    end
    local fresh = kind ~= 255 and redis.pcall('HSETNX', bucket, voter, vote)
    if fresh == 1 then return nil, true end
    local held = not is_wrong_type(fresh) and redis.pcall('HGET', bucket, voter)
    if is_wrong_type(fresh) or is_wrong_type(held) or (held and #held ~= #vote) then return nil, nil end
    if held and since and not follows(held, kind, since) then return held, false end
    if kind == 255 then
        if not held or (only ~= '' and held ~= only) then return held, false end
        leaving, left = leaving or {}, left or {}
        leaving[bucket], left[voter] = left, true
    else
        if not since and string.byte(held) == kind then return held, false end
        redis.call('HSET', bucket, voter, vote)
    end
    return held, true
end

-- "views votes votes …" → votes by kind; nil if the item is corrupt.
local function read_base(tail)
    local whole, _, text = pcall(item_module().split_meta, tail)
    local base = {}
    for number in string.gmatch(whole and text or '', '%d+') do base[#base + 1] = tonumber(number) end
    table.remove(base, 1)
    return whole and base or nil
end

local NO_KIND = 255
local VOTER = #ARGV > 4 and byte(ARGV[6], RECORD) == string.byte('B') and 21 or 13
local KIND, RECORD_END = VOTER + 8, VOTER + 12
local NO_VOTE = pack('<Bi4', NO_KIND, 0)
local kinds, item_count, group_count = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local result_format = '<BBI4I4' .. string.rep('I8', kinds)
local head_format, head_size = HEAD_FORMAT .. string.rep('I4', kinds), HEAD + COUNT * kinds
local new_head, no_base = {FORMAT, 0, kinds, 0, 0, 0}, {}
for kind = 1, kinds do new_head[COUNTS + kind], no_base[kind] = 0, 0 end

-- MGET replies nil for a key of a wrong type, so absent keys are asked for by EXISTS.
local packed = call('MGET', unpack(KEYS, 1, item_count))
local absent, wrong_type = {}, {}
for i = 1, item_count do
    if not packed[i] then absent[#absent + 1] = KEYS[i] end
end
if #absent > 0 and call('EXISTS', unpack(absent)) > 0 then
    for _, key in ipairs(absent) do wrong_type[key] = call('EXISTS', key) == 1 end
end

may('XADD', KEYS[item_count + 1], '*', '1', '')
if #KEYS > item_count + group_count then
    local bucket = KEYS[#KEYS]
    may('HSETNX', bucket, '', '')
    may('HSET', bucket, '', '')
    may('HDEL', bucket, '')
    may('MSET', KEYS[1], '')
    may('PERSIST', KEYS[1])
end

local time = pack('<d', tonumber(ARGV[1]))
local results, records, set = {}, {}, {} -- records: per group the accept time, then its log records
local item_at, log_at, bucket_at, result_count, set_count = 0, item_count, item_count + group_count, 0, 0
local log_is_wrong_type, record_count
local head, tail, first_voter, voters, base, changed -- of the present item; head is nil if the item is not usable
local own_kinds, own_format, own_size -- of its record, which may have kinds that were added after the caller started
local gives = false -- whether the batch gives a vote; else it only retracts

for arg = 5, #ARGV, 2 do
    local name, data, bucket = ARGV[arg], ARGV[arg + 1]
    local flags, low, high = byte(data, 1, 3)
    if flags % 4 >= 2 then -- a group begins
        log_at = log_at + 1
        records[log_at], record_count = {time}, 1
        log_is_wrong_type = type(redis.pcall('XLEN', KEYS[log_at])) == 'table'
    end

    if flags % 2 == 1 then -- an item begins
        item_at = item_at + 1
        head, voters, base, changed = nil, 0, no_base, false
        own_kinds, own_format, own_size = kinds, head_format, head_size
        local record = packed[item_at]
        if not record then
            tail = name .. '\0\0\0' -- no base, no categories
            if not wrong_type[KEYS[item_at]] then
                head = {unpack(new_head)}
                head[VOTERS_AT] = head_size + #tail
            end
        elseif #record > HEAD and byte(record) == FORMAT then
            local stored = byte(record, KINDS)
            if stored < kinds then -- kinds were added since it was written
                local items = item_module()
                local item = items.open(record, kinds)
                record = item and items.pack(item) or ''
            elseif stored > kinds then
                own_kinds, own_size = stored, HEAD + COUNT * stored
                own_format = HEAD_FORMAT .. string.rep('I4', stored)
            end
            tail = sub(record, own_size + 1)
            if tail ~= '' then
                head = {unpack_bytes(own_format, record)}
                for kind = 1, own_kinds do voters = voters + head[COUNTS + kind] end
                if head[VOTERS_AT] > #record or (#record - head[VOTERS_AT]) % ENTRY_SIZE ~= 0 then head = nil end
                if head and head[FLAGS] >= 2 then base = read_base(tail) end
            end
        end
        if not base or log_is_wrong_type then head = nil end
        first_voter = head and head[VOTERS_AT] - own_size + 1
    end

    local buckets = low + 256 * high
    if buckets > 0 then
        bucket_at = bucket_at + 1
        bucket = KEYS[bucket_at]
    end

    local status, kind, held = UNCHANGED, byte(data, KIND)
    if not head then
        status = BROKEN
    elseif find(tail, name, 1, true) ~= 1 then
        status = CLASH
    elseif head[BUCKETS] ~= buckets then
        status = RETRY
    elseif flags % 8 >= 4 and head[FLAGS] % 2 == 0 then
        status = NO_CARD
    else
        local entry, only, went = sub(data, VOTER, RECORD_END), #data > RECORD_END and sub(data, RECORD_END + 1) or ''
        local since = flags >= 8 and unpack_bytes('<i4', entry, ENTRY_TIME)
        local voter = sub(entry, 1, ENTRY_VOTE - 1)
        if bucket then
            held, went = swap_in_bucket(bucket, voter, sub(entry, ENTRY_VOTE), kind, only, since)
        else
            local at = #tail >= first_voter and find(tail, voter, first_voter, true)
            while at and (at - first_voter) % ENTRY_SIZE ~= 0 do at = find(tail, voter, at + 1, true) end
            held = at and sub(tail, at + ENTRY_VOTE - 1, at + ENTRY_SIZE - 1)
            if kind == NO_KIND then
                went = held and (only == '' or held == only) or false
            else
                went = not held or byte(held) ~= kind
            end
            if since and held then went = follows(held, kind, since) end
            if went and held then tail = sub(tail, 1, at - 1) .. sub(tail, at + ENTRY_SIZE) end
            if went and kind ~= NO_KIND then tail = tail .. entry end
        end
        if went == nil then
            status = BROKEN
        elseif went then
            status, changed = CHANGED, true
            record_count = record_count + 1
            records[log_at][record_count] = sub(data, RECORD, RECORD_END) .. (held or NO_VOTE)
            if held then
                local old = COUNTS + 1 + byte(held)
                head[old], voters = (head[old] or 0) - 1, voters - 1
            end
            if kind ~= NO_KIND then
                gives = true
                local new = COUNTS + 1 + kind
                head[new], voters = (head[new] or 0) + 1, voters + 1
            end
        else
            kind = held and byte(held) or NO_KIND
        end
    end
    if status > CHANGED then kind = NO_KIND end

    result_count = result_count + 1
    if not head then
        results[result_count] = pack(result_format, status, kind, 0, 0, unpack(no_base))
    elseif kinds == 1 then
        results[result_count] = pack(result_format, status, kind, head[BUCKETS], voters, head[COUNTS + 1] + (base[1] or 0))
    else
        local shown = {}
        for at = 1, kinds do shown[at] = head[COUNTS + at] + (base[at] or 0) end
        results[result_count] = pack(result_format, status, kind, head[BUCKETS], voters, unpack(shown))
    end

    local following = ARGV[arg + 3]
    if changed and (not following or byte(following) % 2 == 1) then -- the item ends
        set[set_count + 1], set[set_count + 2] = KEYS[item_at], pack(own_format, unpack(head)) .. tail
        set_count = set_count + 2
    end
end

-- At the memory limit Redis refuses MSET, unless the script has run a write that it allows. PERSIST is one, and changes
-- nothing, as no item expires. So votes can be retracted then.
if set_count > 0 and not gives then call('PERSIST', KEYS[1]) end
if set_count > 0 then call('MSET', unpack(set)) end
for bucket, left in pairs(leaving or {}) do
    local voters_left = {}
    for voter in pairs(left) do voters_left[#voters_left + 1] = voter end
    if voters_left[1] then call('HDEL', bucket, unpack(voters_left)) end
end
local ids = ''
for at = item_count + 1, log_at do
    ids = ids .. (records[at][2] and call('XADD', KEYS[at], '*', '1', table.concat(records[at])) or '') .. ' '
end
return {table.concat(results), ids}
