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
--        to have (0: its voters stand in it; else the vote names the bucket in KEYS), u64 voter, the beginning of its log
--        record (src/model/entry.h: 'V', item, kind, time; kind 255 retracts), and the vote to be retracted if only
--        that one (kind, time)
-- Reply  array: results of all votes in order, packed: u8 status, u8 kind now (255 none), u32 buckets, u32 voters,
--        u64 votes per kind (base included); then per group the id of its log entry, "" when nothing changed
-- Status 0 unchanged, 1 changed, 2 retry with these buckets, 3 another item's reference, 4 foreign data, 5 no card

local UNCHANGED, CHANGED, RETRY, CLASH, BROKEN, NO_CARD = 0, 1, 2, 3, 4, 5
local NO_VOTE, VOTE = pack('<Bi4', NO_KIND, 0), 5
local call, try, find = redis.call, redis.pcall, string.find

local kinds, item_count, group_count = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local result_format = '<BBI4I4' .. string.rep('I8', kinds)
local no_base = {}
for kind = 1, kinds do no_base[kind] = 0 end

-- MGET takes a foreign type for nothing.
local packed = call('MGET', unpack(KEYS, 1, item_count))
local absent, foreign = {}, {}
for i = 1, item_count do
    if not packed[i] then absent[#absent + 1] = KEYS[i] end
end
if #absent > 0 and call('EXISTS', unpack(absent)) > 0 then
    for _, key in ipairs(absent) do foreign[key] = call('EXISTS', key) == 1 end
end

-- The item at hand; nil: its data is not usable.
local item, base, voters, changed

-- False when it is torn.
local function read_base()
    local whole, _, text = pcall(split_meta, item.meta)
    base = {}
    for number in string.gmatch(whole and text or '', '%d+') do base[#base + 1] = tonumber(number) end
    table.remove(base, 1) -- "views votes votes …"
    return whole
end

local function begin_item(at, name)
    changed, voters, base = false, 0, no_base
    if packed[at] then
        item = open_item(packed[at], kinds)
    else
        item = not foreign[KEYS[at]] and new_item(name, kinds) or nil
    end
    if not item then return end
    for kind = 1, #item.counts do voters = voters + item.counts[kind] end
    if item.has_base and not read_base() then item = nil end
end

local function count(kind, by)
    item.counts[kind + 1] = (item.counts[kind + 1] or 0) + by
    voters = voters + by
end

-- Of an error other than a foreign type: it is Redis's own (no memory, no disk), came before anything was written, and
-- is the whole call's.
local function is_foreign(reply)
    if type(reply) ~= 'table' then return false end
    if sub(reply.err, 1, 9) ~= 'WRONGTYPE' then error(reply) end
    return true
end

-- Whether what is held stays. `vote` nil retracts: `only` that one, '' for whatever it is.
local function stays(held, vote, only)
    if vote then return held and byte(held) == byte(vote) end
    return not held or (only ~= '' and held ~= only)
end

-- Both put a vote in the place of what is held, and return what was held and whether it went.
local function swap_inside(voter, vote, only)
    local all, at = item.voters, find(item.voters, voter, 1, true)
    while at and (at - 1) % VOTER ~= 0 do at = find(all, voter, at + 1, true) end
    local held = at and sub(all, at + VOTER - VOTE, at + VOTER - 1)
    if stays(held, vote, only) then return held, false end
    local rest = at and sub(all, 1, at - 1) .. sub(all, at + VOTER) or all
    item.voters = vote and rest .. voter .. vote or rest
    return held, true
end

local function swap_in_bucket(bucket, voter, vote, only)
    local fresh = vote and try('HSETNX', bucket, voter, vote)
    if fresh == 1 then return nil, true end
    local held = not is_foreign(fresh) and try('HGET', bucket, voter)
    if is_foreign(fresh) or is_foreign(held) or (held and #held ~= VOTE) then return nil, nil end
    if stays(held, vote, only) then return held, false end
    if vote then call('HSET', bucket, voter, vote) else call('HDEL', bucket, voter) end
    return held, true
end

-- Status, kind now, and of a change what was held, as the record's end.
local function take(name, data, flags, bucket)
    if not item then return BROKEN, NO_KIND end
    if not is_named(item, name) then return CLASH, NO_KIND end
    if item.buckets ~= unpack_bytes('<I2', data, 2) then return RETRY, NO_KIND end
    if flags >= 4 and not item.has_card then return NO_CARD, NO_KIND end
    local voter, vote, only = sub(data, 4, 11), sub(data, 21, 25), sub(data, 26)
    if byte(vote) == NO_KIND then vote = nil end
    local held, went
    if bucket then
        held, went = swap_in_bucket(bucket, voter, vote, only)
    else
        held, went = swap_inside(voter, vote, only)
    end
    if went == nil then return BROKEN, NO_KIND end
    if not went then return UNCHANGED, held and byte(held) or NO_KIND end
    if held then count(byte(held), -1) end
    if vote then count(byte(vote), 1) end
    changed = true
    return CHANGED, vote and byte(vote) or NO_KIND, held or NO_VOTE
end

local function pack_result(status, kind)
    if not item then return pack(result_format, status, kind, 0, 0, unpack(no_base)) end
    local counts = item.counts
    if kinds == 1 then return pack(result_format, status, kind, item.buckets, voters, counts[1] + (base[1] or 0)) end
    local shown = {}
    for at = 1, kinds do shown[at] = counts[at] + (base[at] or 0) end
    return pack(result_format, status, kind, item.buckets, voters, unpack(shown))
end

local log_at, bucket_at = item_count, item_count + group_count
local head = pack('<d', tonumber(ARGV[1]))
local results, groups, set, item_at, group, log_is_foreign = {}, {}, {}, 0

local function end_item()
    if changed then set[#set + 1], set[#set + 2] = KEYS[item_at], pack_item(item) end
end

for arg = 5, #ARGV, 2 do
    local name, data, bucket = ARGV[arg], ARGV[arg + 1]
    local flags = byte(data)
    if flags % 2 == 1 then
        if item_at > 0 then end_item() end
        if flags % 4 >= 2 then
            log_at, group = log_at + 1, {head}
            groups[#groups + 1] = group
            log_is_foreign = type(try('XLEN', KEYS[log_at])) == 'table'
        end
        item_at = item_at + 1
        begin_item(item_at, name)
        if log_is_foreign then item = nil end
    end
    if byte(data, 2) + byte(data, 3) > 0 then
        bucket_at = bucket_at + 1
        bucket = KEYS[bucket_at]
    end
    local status, kind, held = take(name, data, flags, bucket)
    results[#results + 1] = pack_result(status, kind)
    if status == CHANGED then
        group[#group + 1] = sub(data, 12, 25)
        group[#group + 1] = held
    end
end
end_item()

if #set > 0 then call('MSET', unpack(set)) end
local reply = {table.concat(results)}
for i, records in ipairs(groups) do
    reply[i + 1] = #records > 1 and call('XADD', KEYS[item_count + i], '*', '1', table.concat(records)) or ''
end
return reply
