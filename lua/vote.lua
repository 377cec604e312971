-- include: may
-- include: item
-- Decides and logs the votes and retractions of one batch (store/vote_writes.c).
-- Items are read with one MGET and written with one MSET. Before MSET only voters' buckets and the logs are touched; a
-- bucket of a wrong type is detected before its vote changes anything. A bad item fails only its own votes, a bad log
-- those of its group. Voters leave their buckets last: while a Cluster moves the slot, a bucket that was emptied is gone
-- and can't be read any more.
--
-- KEYS   the items, each once; then a log per group (one partition); then the buckets that votes name
-- ARGV   1 bytes: u8 kinds, u16 items, u16 groups, u16 names; then of each vote, by group and item: u8 flags (1 begins an
--        item, 2 begins a group, 4 only if the item has a card, 8 has a time of its own, which may be older than the vote
--        that is stored, 16 retracts only one vote, 32 retracts, 64 begins a group with buckets, 128 names the item), u16
--        buckets that the caller believes the item has (0: its voters are in the item; else KEYS has the vote's bucket);
--        then of each vote with flag 128 its item's name (text8 site, text16 id); the others have that of the vote before;
--        then of each group its log entry (src/model/entry.h), as if all votes were new: the accept time, then records that
--        are all 'B', or all 'V'; kind 255 retracts;
--        then of each vote with flag 16 that vote (kind, time)
-- Reply  array: the results of all votes in order; then the ids of the groups' log entries, each followed by a space; no id
--        if nothing changed. A result begins with u8 status. After status 1 (changed) come the item's flags, kinds, buckets
--        and so on as in its record now (src/model/item.h), up to its counts. After any other: u8 kind now (255 none), u32
--        buckets, u32 voters, u64 votes per kind (base included)
-- Status 0 unchanged, 1 and 6 changed, 2 retry with these buckets, 3 another item has the reference, 4 data of a wrong type
--        or corrupt, 5 no card

-- What a vote costs here is the strings and tables that Lua makes for it. So a new vote on an item without base votes,
-- nearly every one, makes the new record and little else: a part of the old one is copied as it is, the log's entry is the
-- one that the caller sent, and the result is the beginning of the record. All others go through decide.

local UNCHANGED, STORED, RETRY, CLASH, BROKEN, NO_CARD, CHANGED = 0, 1, 2, 3, 4, 5, 6
local FORMAT, NO_KIND = STORED, 255 -- a record begins with its format
local HEAD, COUNT, VOTER, ENTRY = 15, 4, 8, 13 -- bytes of a head without counts, a count, a voter, a voter with the vote
local NO_TEXTS = '\0\0\0' -- no base, no groups
local byte, char, sub, find, pack, call = string.byte, string.char, string.sub, string.find, struct.pack, redis.call

local keys, arguments = KEYS, ARGV
local control = {byte(arguments[1], 1, -1)}
local kinds, item_count = control[1], control[2] + 256 * control[3]
local group_count, name_count = control[4] + 256 * control[5], control[6] + 256 * control[7]
local before_entry = byte(arguments[name_count + 2], 9) == byte('B') and 17 or 9 -- bytes of a record before voter, kind and time
local record_size, head_size = before_entry + ENTRY + 5, HEAD + COUNT * kinds
local explicit = '<BBI4I4' .. string.rep('I8', kinds)
local items, leaving -- the module of lua/item.lua; by bucket the voters that will be removed from it; nil: none

-- Any other error is Redis's own (no memory, no disk). It comes before the first write and fails the whole call.
local function is_wrong_type(reply)
    if type(reply) ~= 'table' then return false end
    if sub(reply.err, 1, 9) ~= 'WRONGTYPE' then error(reply) end
    return true
end

-- Whether `vote` replaces the stored vote. 255 retracts `only` that vote, or any vote if it is nil. With `since` the newer
-- vote counts; in one second the later line is newer.
local function replaces(held, kind, only, since)
    if since and held then
        local time = struct.unpack('<i4', held, 2)
        return since > time or (since == time and byte(held) ~= kind)
    end
    if kind == NO_KIND then return held and (not only or held == only) or false end
    return not held or byte(held) ~= kind
end

-- These two return the vote before, and whether it was replaced (nil: the bucket is not usable).
local function swap_in_item(item, voter, vote, only, since)
    local voters, kind = item.voters, byte(vote)
    local at = find(voters, voter, 1, true)
    while at and at % ENTRY ~= 1 do at = find(voters, voter, at + 1, true) end
    local held = at and sub(voters, at + VOTER, at + ENTRY - 1)
    if not replaces(held, kind, only, since) then return held, false end
    if held then voters = sub(voters, 1, at - 1) .. sub(voters, at + ENTRY) end
    item.voters = kind == NO_KIND and voters or voters .. voter .. vote
    return held, true
end

-- `fresh` is what HSETNX has replied, if it was asked already; it costs as much as the rest of a vote.
local function swap_in_bucket(bucket, voter, vote, only, since, fresh)
    local left, kind = leaving and leaving[bucket], byte(vote)
    if left and left[voter] then
        if kind == NO_KIND then return nil, false end
        left[voter] = nil
        call('HSET', bucket, voter, vote)
        return nil, true
    end
    if fresh == nil then fresh = kind ~= NO_KIND and redis.pcall('HSETNX', bucket, voter, vote) end
    if fresh == 1 then return nil, true end
    local held = not is_wrong_type(fresh) and redis.pcall('HGET', bucket, voter)
    if is_wrong_type(fresh) or is_wrong_type(held) or (held and #held ~= #vote) then return nil, nil end
    if not replaces(held, kind, only, since) then return held, false end
    if kind == NO_KIND then
        leaving, left = leaving or {}, left or {}
        leaving[bucket], left[voter] = left, true
    else
        call('HSET', bucket, voter, vote)
    end
    return held, true
end

-- "views votes votes …" → votes by kind; nil if the item is corrupt.
local function read_base(meta)
    local whole, _, text = pcall(items.split_meta, meta)
    local base = {}
    for number in string.gmatch(whole and text or '', '%d+') do base[#base + 1] = tonumber(number) end
    table.remove(base, 1)
    return whole and base or nil
end

local function tell(status, kind, item, base)
    local shown, voters = {}, 0
    for at = 1, kinds do shown[at] = item and item.counts[at] + (base[at] or 0) or 0 end
    for _, count in ipairs(item and item.counts or shown) do voters = voters + count end
    return pack(explicit, status, kind, item and item.buckets or 0, voters, unpack(shown))
end

-- Any vote. Returns its result and, if it changed something, the record and the vote before (nil: none).
local function decide(record, name, entry, flags, buckets, bucket, only, fresh)
    items = items or item_module()
    local item
    if record then item = items.open(record, kinds) elseif record == nil then item = items.new(name, kinds) end
    local base = item and item.has_base and read_base(item.meta) or {}
    if not item or item.meta == '' or (item.has_base and not base) then return tell(BROKEN, NO_KIND) end
    if not items.is_named(item, name) then return tell(CLASH, NO_KIND, item, base) end
    if item.buckets ~= buckets then return tell(RETRY, NO_KIND, item, base) end
    if flags % 8 >= 4 and not item.has_card then return tell(NO_CARD, NO_KIND, item, base) end

    local voter, vote = sub(entry, 1, VOTER), sub(entry, VOTER + 1)
    local since = flags % 16 >= 8 and struct.unpack('<i4', vote, 2)
    local held, went = (bucket and swap_in_bucket or swap_in_item)(bucket or item, voter, vote, only, since, fresh)
    if went == nil then return tell(BROKEN, NO_KIND, item, base) end
    if not went then return tell(UNCHANGED, held and byte(held) or NO_KIND, item, base) end
    local counts, kind, old = item.counts, byte(vote), held and byte(held) + 1
    if counts[old] then counts[old] = counts[old] - 1 end
    if kind ~= NO_KIND then counts[kind + 1] = counts[kind + 1] + 1 end
    return tell(CHANGED, kind, item, base), items.pack(item), held or nil
end

-- MGET replies nil for a key of a wrong type, so absent keys are asked for by EXISTS.
local records, missing = call('MGET', unpack(keys, 1, item_count)), {}
for at = 1, item_count do
    if not records[at] then missing[#missing + 1], records[at] = keys[at], nil end
end
if missing[1] and call('EXISTS', unpack(missing)) > 0 then
    for at = 1, item_count do
        if not records[at] and call('EXISTS', keys[at]) == 1 then records[at] = false end
    end
end

may('XADD', keys[item_count + 1], '*', '1', '')
may('MSET', keys[1], '')
may('PERSIST', keys[1])
if #keys > item_count + group_count then
    local bucket = keys[#keys]
    may('HSETNX', bucket, '', '')
    may('HSET', bucket, '', '')
    may('HDEL', bucket, '')
end

local results, number, told, stored_format = {}, 0, nil, 'c' .. head_size -- told: by number the results that are no beginning of a record
local new_heads = {} -- by kind, and length of the name: heads of new records
local set, set_at, set_count = {}, 0, 0
local item_at, name_at, log_at, bucket_at, only_at = 0, 1, 0, item_count + group_count, 1 + name_count + group_count
local entries, at, log, pieces, log_is_bad, name = {} -- entries: of each group, whole or in pieces; `at`: where the record begins
local gives = false -- whether the batch gives a vote; else it only retracts

for place = 8, #control, 3 do
    local flags, buckets, bucket = control[place], control[place + 1] + 256 * control[place + 2]
    if flags % 4 >= 2 then
        log_at, at, pieces = log_at + 1, 9 - record_size, nil
        log = arguments[1 + name_count + log_at]
        entries[log_at] = log
        log_is_bad = flags % 128 >= 64 and type(redis.pcall('XLEN', keys[item_count + log_at])) == 'table'
    end
    if flags % 2 == 1 then item_at, set_at = item_at + 1, 0 end
    if flags >= 128 then
        name_at = name_at + 1
        name = arguments[name_at]
    end
    if buckets > 0 then
        bucket_at = bucket_at + 1
        bucket = keys[bucket_at]
    end
    at = at + record_size
    local voter_at = at + before_entry
    local old, new, fresh = records[item_at]
    local plain = flags % 64 < 4 and not log_is_bad

    if plain and old then
        local format, marks, stored, low, high, end_low, end_high, _, _, _, _, _, _, _, _, a, b, c, d = byte(old, 1, HEAD + COUNT)
        local size, first = #old, end_high and end_low + 256 * end_high
        if size > HEAD and format == FORMAT and stored == kinds and marks < 2 and low + 256 * high == buckets and first <= size
            and (size - first) % ENTRY == 0 and find(old, name, head_size + 1, true) == head_size + 1 then
            local absent
            if not bucket then
                absent = size == first or not find(old, sub(log, voter_at, voter_at + VOTER - 1), first + 1, true)
            elseif not leaving then
                fresh = redis.pcall('HSETNX', bucket, sub(log, voter_at, voter_at + VOTER - 1),
                    sub(log, voter_at + VOTER, voter_at + ENTRY - 1))
                absent = fresh == 1
            end
            if absent then
                local kind = kinds > 1 and byte(log, voter_at + VOTER) or 0
                local count = HEAD + COUNT * kind
                if kind > 0 then a, b, c, d = byte(old, count + 1, count + COUNT) end
                local more = a < 255 and char(a + 1, b, c, d) or pack('<I4', 1 + a + 256 * b + 65536 * c + 16777216 * d)
                if bucket then
                    new = sub(old, 1, count) .. more .. sub(old, count + COUNT + 1)
                else
                    new = sub(old, 1, count) .. more .. sub(old, count + COUNT + 1) .. sub(log, voter_at, voter_at + ENTRY - 1)
                end
            end
        end
    elseif plain and old == nil and not bucket then
        local kind = kinds > 1 and byte(log, voter_at + VOTER) or 0
        local length = #name * 256 + kind
        local head = new_heads[length]
        if not head then
            head = pack('<BBBI2I2d', FORMAT, 0, kinds, 0, head_size + #name + #NO_TEXTS, 0)
                .. string.rep('\0', COUNT * kind) .. '\1\0\0\0' .. string.rep('\0', COUNT * (kinds - kind - 1))
            new_heads[length] = head
        end
        new = head .. name .. NO_TEXTS .. sub(log, voter_at, voter_at + ENTRY - 1)
    end

    number = number + 1
    if new then
        results[number], gives = new, true
        if pieces then pieces[#pieces + 1] = sub(log, at, at + record_size - 1) end
    else
        local only, held
        if flags % 32 >= 16 then
            only_at = only_at + 1
            only = arguments[only_at]
        end
        if log_is_bad then
            results[number] = tell(BROKEN, NO_KIND)
        else
            local entry = sub(log, voter_at, voter_at + ENTRY - 1)
            results[number], new, held = decide(old, name, entry, flags, buckets, bucket, only, fresh)
        end
        told = told or {}
        told[number] = true
        if not pieces then
            pieces = {sub(log, 1, at - 1)}
            entries[log_at] = pieces
        end
        if new then
            gives = gives or flags % 64 < 32
            pieces[#pieces + 1] = held and sub(log, at, at + record_size - 6) .. held or sub(log, at, at + record_size - 1)
        end
    end
    if new then
        records[item_at] = new
        if set_at == 0 then
            set_at, set_count = set_count + 2, set_count + 2
            set[set_at - 1] = keys[item_at]
        end
        set[set_at] = new
    end
end

-- Nothing of this group is stored. Only a group without buckets gets here.
local function spoil(group)
    local number, group_of, item = 0, 0, 0
    for place = 8, #control, 3 do
        local flags = control[place]
        number, group_of, item = number + 1, group_of + (flags % 4 >= 2 and 1 or 0), item + flags % 2
        if group_of == group then
            told = told or {}
            results[number], told[number] = tell(BROKEN, NO_KIND), true
            for in_set = #set - 1, 1, -2 do
                if set[in_set] == keys[item] then
                    table.remove(set, in_set)
                    table.remove(set, in_set)
                end
            end
        end
    end
end

-- At the memory limit Redis refuses XADD, unless the script has run a write that it allows. PERSIST is one, and changes
-- nothing, as no item expires. So votes can be retracted then.
if set[1] and not gives then call('PERSIST', keys[1]) end
local ids = {}
for group = 1, log_at do
    local entry, id = entries[group], ''
    if type(entry) == 'table' then entry = (entry[2] or #entry[1] > 8) and table.concat(entry) end
    if entry then id = redis.pcall('XADD', keys[item_count + group], '*', '1', entry) end
    if is_wrong_type(id) then
        spoil(group)
        id = ''
    end
    ids[group] = id .. ' '
end
if set[1] then call('MSET', unpack(set)) end
for bucket, left in pairs(leaving or {}) do
    local voters = {}
    for voter in pairs(left) do voters[#voters + 1] = voter end
    if voters[1] then call('HDEL', bucket, unpack(voters)) end
end
local format = string.rep(stored_format, number)
if told then
    local formats = {}
    for at = 1, number do formats[at] = told[at] and 'c0' or stored_format end
    format = table.concat(formats)
end
return {pack(format, unpack(results)), table.concat(ids)}
