-- Votes and retractions of one batch, decided and logged (store/votes.c).
-- Everything is read and checked first; all writes come last. One bad item spoils only its own votes.
--
-- KEYS   per group (one partition): its log, then per vote: item, voters' bucket
-- ARGV   1 accept time in ms, 2 number of kinds, then per group: number of votes, then per vote:
--        id, site, reference (8 bytes), buckets, voter, vote (time*8+kind, "" to retract, "=" and a vote
--        to retract that one only), "1" if only items with a card take votes
-- Reply  array: results of all votes in order, packed: u8 status, u8 kind now (255 none), u32 buckets, u32 voters,
--        u64 votes per kind (base included); then per group the id of its log entry, "" when nothing changed
-- Status 0 unchanged, 1 changed, 2 retry with these buckets, 3 another item's reference, 4 foreign data, 5 no card

local UNCHANGED, CHANGED, RETRY, CLASH, BROKEN, NO_CARD = 0, 1, 2, 3, 4, 5
local NONE = 255
local kinds = tonumber(ARGV[2])
local fields = {'id', 'site', 'n', 'card', 'base'}
for kind = 0, kinds - 1 do fields[#fields + 1] = 'v' .. kind end

local items, pending, written = {}, {}, {}

-- The item as this batch has left it: counts, buckets; read once.
local function item_of(key)
    local item = items[key]
    if item then return item end
    local held = redis.pcall('HMGET', key, unpack(fields))
    item = {key = key, broken = held.err ~= nil, counts = {}, base = {}, voters = 0, buckets = 1}
    items[key] = item
    if item.broken then return item end
    item.id, item.site, item.card = held[1], held[2], held[4]
    item.buckets = tonumber(held[3] or 1)
    for kind = 0, kinds - 1 do
        item.counts[kind] = tonumber(held[6 + kind] or 0)
        item.voters = item.voters + item.counts[kind]
    end
    if held[5] then
        local at = -1
        for number in string.gmatch(held[5], '%d+') do
            if at >= 0 then item.base[at] = tonumber(number) end
            at = at + 1
        end
    end
    return item
end

-- The voter's vote as this batch has left it: a number, false for none, nil for foreign data.
local function vote_of(bucket, voter)
    local mine = pending[bucket]
    if mine and mine[voter] ~= nil then return mine[voter] end
    local held = redis.pcall('HGET', bucket, voter)
    if type(held) == 'table' then return nil end
    return held and tonumber(held)
end

local function keep_vote(bucket, voter, vote)
    if not pending[bucket] then pending[bucket] = {} end
    pending[bucket][voter] = vote
end

local function split_vote(vote)
    if not vote then return NONE, 0 end
    local kind = vote % 8
    return kind, (vote - kind) / 8
end

local function move_count(item, kind, by)
    if kind ~= NONE then
        item.counts[kind] = (item.counts[kind] or 0) + by
        item.voters = item.voters + by
    end
end

local function status_before(item, id, site, buckets, needs_card)
    if item.broken then return BROKEN end
    if item.id and (item.id ~= id or item.site ~= site) then return CLASH end
    if item.buckets ~= buckets then return RETRY end
    if needs_card == '1' and not item.card then return NO_CARD end
end

-- Returns status, kind now, log record or nil.
local function decide(item, bucket, id, site, ref, buckets, voter, wanted, needs_card)
    local refused = status_before(item, id, site, buckets, needs_card)
    if refused then return refused, NONE end
    local old = vote_of(bucket, voter)
    if old == nil then return BROKEN, NONE end
    local old_kind, old_time = split_vote(old)
    if string.sub(wanted, 1, 1) == '=' then
        if old ~= tonumber(string.sub(wanted, 2)) then return UNCHANGED, old_kind end
        wanted = ''
    end
    local new_kind, new_time = split_vote(wanted ~= '' and tonumber(wanted))
    if old_kind == new_kind then return UNCHANGED, old_kind end
    move_count(item, old_kind, -1)
    move_count(item, new_kind, 1)
    item.id, item.site, item.changed = id, site, true
    keep_vote(bucket, voter, wanted ~= '' and tonumber(wanted))
    return CHANGED, new_kind, 'V' .. ref .. struct.pack('<Bi4Bi4', new_kind, new_time, old_kind, old_time)
end

local function packed_result(item, status, kind_now)
    local text = struct.pack('<BBI4I4', status, kind_now, item.buckets, item.voters)
    for kind = 0, kinds - 1 do
        text = text .. struct.pack('<I8', (item.counts[kind] or 0) + (item.base[kind] or 0))
    end
    return text
end

local results, records, logs = {}, {}, {}
local key, arg = 1, 3
while key <= #KEYS do
    local log, count = KEYS[key], tonumber(ARGV[arg])
    local group = {}
    redis.call('XLEN', log)
    key, arg = key + 1, arg + 1
    for _ = 1, count do
        local item = item_of(KEYS[key])
        local status, kind_now, record = decide(item, KEYS[key + 1], ARGV[arg], ARGV[arg + 1], ARGV[arg + 2],
            tonumber(ARGV[arg + 3]), ARGV[arg + 4], ARGV[arg + 5], ARGV[arg + 6])
        results[#results + 1] = packed_result(item, status, kind_now)
        group[#group + 1] = record
        key, arg = key + 2, arg + 7
    end
    logs[#logs + 1], records[#records + 1] = log, group
end

for bucket, votes in pairs(pending) do
    local set, gone = {}, {}
    for voter, vote in pairs(votes) do
        if vote then
            set[#set + 1], set[#set + 2] = voter, string.format('%.0f', vote)
        else
            gone[#gone + 1] = voter
        end
    end
    if #set > 0 then redis.call('HSET', bucket, unpack(set)) end
    if #gone > 0 then redis.call('HDEL', bucket, unpack(gone)) end
end
for item_key, item in pairs(items) do
    if item.changed then
        local set = {'id', item.id, 'site', item.site}
        for kind = 0, kinds - 1 do
            set[#set + 1], set[#set + 2] = 'v' .. kind, string.format('%.0f', item.counts[kind])
        end
        redis.call('HSET', item_key, unpack(set))
    end
end
local reply = {table.concat(results)}
for i, group in ipairs(records) do
    reply[i + 1] = ''
    if #group > 0 then
        reply[i + 1] = redis.call('XADD', logs[i], '*', '1', struct.pack('<d', tonumber(ARGV[1])) .. table.concat(group))
    end
end
return reply
