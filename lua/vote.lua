-- include: item
-- Votes and retractions of one batch, decided and logged (store/votes.c).
-- All items come in one call and go back in one: of what stands between, only a voters' bucket can be found unusable, and
-- that is seen before anything of its vote is written. One bad item spoils only its own votes, a bad log those of its
-- group.
--
-- KEYS   the items, each once; then a log per group (one partition); then the buckets that votes name
-- ARGV   1 accept time in ms, 2 number of kinds, 3 number of items, 4 number of groups; then per vote, by group and item:
--        its item's name (text8 site, text16 id), and
--        u8 flags (1 begins an item, 2 begins a group, 4 only if the item has a card), u16 buckets that the item is taken
--        to have (0: its voters stand in it; else the vote names the bucket in KEYS), the beginning of its log record
--        (src/model/entry.h: 'V', item, voter, kind, time; kind 255 retracts), and the vote to be retracted if only that
--        one (kind, time)
-- Reply  array: results of all votes in order, packed: u8 status, u8 kind now (255 none), u32 buckets, u32 voters,
--        u64 votes per kind (base included); then per group the id of its log entry, "" when nothing changed
-- Status 0 unchanged, 1 changed, 2 retry with these buckets, 3 another item's reference, 4 foreign data, 5 no card

local UNCHANGED, CHANGED, RETRY, CLASH, BROKEN, NO_CARD = 0, 1, 2, 3, 4, 5
local BEGINS_GROUP, NEEDS_CARD = 2, 4
local NO_VOTE, VOTE = pack('<Bi4', NO_KIND, 0), 5
local call, try, find = redis.call, redis.pcall, string.find

local kinds, item_count, group_count = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local result_format = '<BBI4I4' .. string.rep('I8', kinds)

-- The item at hand: the numbers of its head, and what follows them as it is, the voters last. nil: it is not usable.
-- (The table of named fields that open_item makes would be half of the cost of a vote.)
local FLAGS, KINDS, BUCKETS, VOTERS_AT, COUNTS = 2, 3, 4, 5, 6
local head_format, head_size = '<BBBI2I2d' .. string.rep('I4', kinds), 15 + 4 * kinds
local head, tail, first_voter, voters, base, changed
local new_head, no_base = {FORMAT, 0, kinds, 0, 0, 0}, {}
for kind = 1, kinds do new_head[COUNTS + kind], no_base[kind] = 0, 0 end

-- MGET takes a foreign type for nothing.
local packed = call('MGET', unpack(KEYS, 1, item_count))
local absent, foreign = {}, {}
for i = 1, item_count do
    if not packed[i] then absent[#absent + 1] = KEYS[i] end
end
if #absent > 0 and call('EXISTS', unpack(absent)) > 0 then
    for _, key in ipairs(absent) do foreign[key] = call('EXISTS', key) == 1 end
end

local function begin_new_item(key, name)
    head, tail, voters = nil, name .. NO_TEXTS, 0
    if foreign[key] then return end
    first_voter = #tail + 1
    head = {unpack(new_head)}
    head[VOTERS_AT] = head_size + #tail
end

local function begin_item(record)
    head, voters = nil, 0
    if not is_item(record) then return end
    if byte(record, KINDS) ~= kinds then record = pack_item(open_item(record, kinds)) end -- some were added since
    head, tail = {unpack_bytes(head_format, record)}, sub(record, head_size + 1)
    first_voter = head[VOTERS_AT] - head_size + 1
    for kind = 1, kinds do voters = voters + head[COUNTS + kind] end
    if head[FLAGS] < 2 then return end
    local whole, _, text = pcall(split_meta, tail)
    base = {}
    for number in string.gmatch(whole and text or '', '%d+') do base[#base + 1] = tonumber(number) end
    table.remove(base, 1) -- "views votes votes …"
end

local function count(kind, by)
    head[COUNTS + 1 + kind] = (head[COUNTS + 1 + kind] or 0) + by
    voters = voters + by
end

-- Of an error other than a foreign type: it is Redis's own (no memory, no disk), came before anything was written, and
-- is the whole call's.
local function is_foreign(reply)
    if type(reply) ~= 'table' then return false end
    if sub(reply.err, 1, 9) ~= 'WRONGTYPE' then error(reply) end
    return true
end

-- Whether what is held stays. `kind` NO_KIND retracts: `only` that vote, '' for whatever it is.
local function stays(held, kind, only)
    if kind ~= NO_KIND then return held and byte(held) == kind end
    return not held or (only ~= '' and held ~= only)
end

-- Both put a vote (u64 voter, kind, time) in the place of what is held, and return what was held and whether it went.
local function swap_inside(vote, kind, only)
    if #tail < first_voter then -- nobody has voted yet
        if kind == NO_KIND then return nil, false end
        tail = tail .. vote
        return nil, true
    end
    local voter = sub(vote, 1, 8)
    local at = find(tail, voter, first_voter, true)
    while at and (at - first_voter) % VOTER ~= 0 do at = find(tail, voter, at + 1, true) end
    local held = at and sub(tail, at + 8, at + 12)
    if stays(held, kind, only) then return held, false end
    if held then tail = sub(tail, 1, at - 1) .. sub(tail, at + VOTER) end
    if kind ~= NO_KIND then tail = tail .. vote end
    return held, true
end

local function swap_in_bucket(bucket, vote, kind, only)
    local voter, value = sub(vote, 1, 8), sub(vote, 9)
    local fresh = kind ~= NO_KIND and try('HSETNX', bucket, voter, value)
    if fresh == 1 then return nil, true end
    local held = not is_foreign(fresh) and try('HGET', bucket, voter)
    if is_foreign(fresh) or is_foreign(held) or (held and #held ~= VOTE) then return nil, nil end
    if stays(held, kind, only) then return held, false end
    if kind == NO_KIND then call('HDEL', bucket, voter) else call('HSET', bucket, voter, value) end
    return held, true
end

-- Status, kind now, and of a change what was held, as the record's end.
local function take(name, data, flags, buckets, bucket)
    if not head then return BROKEN, NO_KIND end
    if find(tail, name, 1, true) ~= 1 then return CLASH, NO_KIND end
    if head[BUCKETS] ~= buckets then return RETRY, NO_KIND end
    if flags >= NEEDS_CARD and head[FLAGS] % 2 == 0 then return NO_CARD, NO_KIND end
    local vote, kind, only, held, went = sub(data, 13, 25), byte(data, 21), #data > 25 and sub(data, 26) or ''
    if bucket then
        held, went = swap_in_bucket(bucket, vote, kind, only)
    else
        held, went = swap_inside(vote, kind, only)
    end
    if went == nil then return BROKEN, NO_KIND end
    if not went then return UNCHANGED, held and byte(held) or NO_KIND end
    if held then count(byte(held), -1) end
    if kind ~= NO_KIND then count(kind, 1) end
    changed = true
    return CHANGED, kind, held or NO_VOTE
end

local function pack_result(status, kind)
    if not head then return pack(result_format, status, kind, 0, 0, unpack(no_base)) end
    if kinds == 1 then return pack(result_format, status, kind, head[BUCKETS], voters, head[COUNTS + 1] + (base[1] or 0)) end
    local shown = {}
    for at = 1, kinds do shown[at] = head[COUNTS + at] + (base[at] or 0) end
    return pack(result_format, status, kind, head[BUCKETS], voters, unpack(shown))
end

local time = pack('<d', tonumber(ARGV[1]))
local results, records, set, log_is_foreign = {}, {}, {} -- records: of each group, end to end
local item_at, log_at, bucket_at, result_count, set_count = 0, item_count, item_count + group_count, 0, 0

local function end_item()
    if not changed then return end
    set[set_count + 1], set[set_count + 2] = KEYS[item_at], pack(head_format, unpack(head)) .. tail
    set_count, changed = set_count + 2, false
end

local function begin_group()
    log_at = log_at + 1
    records[log_at] = ''
    log_is_foreign = type(try('XLEN', KEYS[log_at])) == 'table'
end

for arg = 5, #ARGV, 2 do
    local name, data, bucket = ARGV[arg], ARGV[arg + 1]
    local flags, low, high = byte(data, 1, 3)
    if flags % 2 == 1 then
        end_item()
        if flags % 4 >= BEGINS_GROUP then begin_group() end
        item_at, base = item_at + 1, no_base
        local record = packed[item_at]
        if record then begin_item(record) else begin_new_item(KEYS[item_at], name) end
        if log_is_foreign then head = nil end
    end
    local buckets = low + 256 * high
    if buckets > 0 then
        bucket_at = bucket_at + 1
        bucket = KEYS[bucket_at]
    end
    local status, kind, held = take(name, data, flags, buckets, bucket)
    result_count = result_count + 1
    results[result_count] = pack_result(status, kind)
    if held then records[log_at] = records[log_at] .. sub(data, 4, 25) .. held end
end
end_item()

if set_count > 0 then call('MSET', unpack(set)) end
local reply = {table.concat(results)}
for at = item_count + 1, log_at do
    reply[at - item_count + 1] = records[at] ~= '' and call('XADD', KEYS[at], '*', '1', time .. records[at]) or ''
end
return reply
