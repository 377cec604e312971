-- Votes and retractions of one batch, decided and logged (store/votes.c).
-- One vote after the other, each written as soon as it is decided: nothing that can fail stands between its checks and
-- its entry in the log. One bad item spoils only its own votes, a bad log those of its group.
--
-- KEYS   per group (one partition): its log, then per vote: item, voters' bucket; an item's votes one behind the other
-- ARGV   1 accept time in ms, 2 number of kinds, then per group: number of votes, then per vote:
--        id, site, the beginning of its log record (model/entry.h: 'V', item, new kind, new time), buckets, voter,
--        vote (time*8+kind, "" to retract, "=" and a vote to retract that one only), "1" if only items with a card take
--        votes
-- Reply  array: results of all votes in order, packed: u8 status, u8 kind now (255 none), u32 buckets, u32 voters,
--        u64 votes per kind (base included); then per group the id of its log entry, "" when nothing changed
-- Status 0 unchanged, 1 changed, 2 retry with these buckets, 3 another item's reference, 4 foreign data, 5 no card

local UNCHANGED, CHANGED, RETRY, CLASH, BROKEN, NO_CARD = 0, 1, 2, 3, 4, 5
local NONE = 255
local NO_VOTE_BEFORE = struct.pack('<Bi4', NONE, 0)
local call, pcall, pack = redis.call, redis.pcall, struct.pack

local kinds = tonumber(ARGV[2])
local result_format = '<BBI4I4' .. string.rep('I8', kinds)
local counters, fields = {}, {'id', 'site', 'n', 'base'}
for kind = 1, kinds do
    counters[kind] = 'v' .. (kind - 1)
    fields[4 + kind] = counters[kind]
end

-- The item at hand. What is found wrong with it stands in `broken`.
local item, broken, id, site, buckets, voters, is_new, changed
local counts, base, shown = {}, {}, {}

local function open_item(key)
    local held = pcall('HMGET', key, unpack(fields))
    item, broken, changed, voters = key, held.err ~= nil, false, 0
    id, site, buckets = held[1], held[2], tonumber(held[3] or 1)
    is_new = not id
    for kind = 1, kinds do
        local count = tonumber(held[4 + kind] or 0)
        broken = broken or not count
        counts[kind], base[kind] = count or 0, 0
        voters = voters + counts[kind]
    end
    if held[4] then -- "views votes votes …"
        local kind = 0
        for number in string.gmatch(held[4], '%d+') do
            base[kind], kind = tonumber(number), kind + 1
        end
    end
end

-- Its counts after the last of its votes.
local function close_item()
    if not changed then return end
    if kinds == 1 and not is_new then
        call('HSET', item, 'v0', counts[1])
        return
    end
    local set = is_new and {'id', id, 'site', site} or {}
    for kind = 1, kinds do
        set[#set + 1], set[#set + 2] = counters[kind], counts[kind]
    end
    call('HSET', item, unpack(set))
end

local function split_vote(vote)
    local kind = vote % 8
    return kind, (vote - kind) / 8
end

local function count(kind, by)
    counts[kind + 1] = (counts[kind + 1] or 0) + by
    voters = voters + by
end

-- Of an error other than a foreign type: it is Redis's own (no memory, no disk), came before anything was written, and
-- is the whole call's.
local function is_foreign(reply)
    if type(reply) ~= 'table' then return false end
    if string.sub(reply.err, 1, 9) ~= 'WRONGTYPE' then error(reply) end
    return true
end

-- Status, kind now, and of a change what stood before, as the record's end.
local function vote_for(bucket, voter, vote)
    local fresh = pcall('HSETNX', bucket, voter, vote)
    if is_foreign(fresh) then return BROKEN, NONE end
    local kind = split_vote(vote)
    if fresh == 1 then
        count(kind, 1)
        return CHANGED, kind, NO_VOTE_BEFORE
    end
    local old = tonumber(call('HGET', bucket, voter))
    if not old then return BROKEN, NONE end
    local old_kind, old_time = split_vote(old)
    if old_kind == kind then return UNCHANGED, kind end
    call('HSET', bucket, voter, vote)
    count(old_kind, -1)
    count(kind, 1)
    return CHANGED, kind, pack('<Bi4', old_kind, old_time)
end

-- `only`: the vote to be taken back, "" for whatever it is.
local function retract(bucket, voter, only)
    local held = pcall('HGET', bucket, voter)
    if is_foreign(held) then return BROKEN, NONE end
    if not held then return UNCHANGED, NONE end
    local old = tonumber(held)
    if not old then return BROKEN, NONE end
    local old_kind, old_time = split_vote(old)
    if only ~= '' and held ~= only then return UNCHANGED, old_kind end
    call('HDEL', bucket, voter)
    count(old_kind, -1)
    return CHANGED, NONE, pack('<Bi4', old_kind, old_time)
end

local function take(bucket, new_id, new_site, with_buckets, voter, vote, needs_card)
    if broken then return BROKEN, NONE end
    if id and (id ~= new_id or site ~= new_site) then return CLASH, NONE end
    if buckets ~= tonumber(with_buckets) then return RETRY, NONE end
    if needs_card == '1' and call('HEXISTS', item, 'card') == 0 then return NO_CARD, NONE end
    local status, kind, before
    if vote == '' or string.byte(vote) == 61 then -- "="
        status, kind, before = retract(bucket, voter, string.sub(vote, 2))
    else
        status, kind, before = vote_for(bucket, voter, vote)
    end
    if status == CHANGED then id, site, changed = new_id, new_site, true end
    return status, kind, before
end

local function pack_result(status, kind)
    if kinds == 1 then return pack(result_format, status, kind, buckets, voters, counts[1] + base[1]) end
    for at = 1, kinds do shown[at] = counts[at] + base[at] end
    return pack(result_format, status, kind, buckets, voters, unpack(shown, 1, kinds))
end

local results, reply = {}, {''}
local key, arg = 1, 3
while key <= #KEYS do
    local log, last = KEYS[key], arg + tonumber(ARGV[arg]) * 7
    local records = {pack('<d', tonumber(ARGV[1]))}
    local log_is_foreign = type(pcall('XLEN', log)) == 'table'
    key, arg = key + 1, arg + 1
    while arg <= last do
        if item ~= KEYS[key] then
            open_item(KEYS[key])
            broken = broken or log_is_foreign
        end
        local status, kind, before = take(KEYS[key + 1], ARGV[arg], ARGV[arg + 1], ARGV[arg + 3], ARGV[arg + 4],
            ARGV[arg + 5], ARGV[arg + 6])
        results[#results + 1] = pack_result(status, kind)
        if before then
            records[#records + 1] = ARGV[arg + 2]
            records[#records + 1] = before
        end
        key, arg = key + 2, arg + 7
        if item ~= KEYS[key] or arg > last then close_item() end
    end
    item = nil
    reply[#reply + 1] = #records > 1 and call('XADD', log, '*', '1', table.concat(records)) or ''
end
reply[1] = table.concat(results)
return reply
