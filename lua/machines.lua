-- include: may
-- Keeps the list of the machines on this store (services, project/membership.c), and says who works which projection.
--
-- A machine is alive while its record is younger than LIVES. Of the plans of the living the one that was defined last is
-- projected. The list keeps for each plan when it was defined, as long as a machine has the plan, and PLAN_KEPT longer: so
-- a machine with an old plan that starts again does not bring the old plan back. Among the living with that plan a
-- projection is worked by the one with the highest hash of both names (rendezvous hashing): who comes or goes moves nothing
-- else. A machine that has lately not got through comes after all others, because a part of the store is away for it alone.
--
-- A machine that has a turn and does not ask for LIVES is passed over until it asks: somebody else writes its record. A
-- record of the future is written anew, so it lives no longer than others when the clock of Redis has gone back.
--
-- A plan that follows another one waits until each living machine with another plan has been told of it, as its record
-- says: so the two are not at work at once. It waits only while the caller wants to (ARGV 10), and no more once it has
-- begun: then somebody has the claim for it.
--
-- Each caller gets the plans that were defined last, and sends them with its next call. A list that was emptied, or is of
-- an older snapshot of Redis, learns the order again from any of them.
--
-- engaged:meta has a claim for programs that know no machines: they wait while one with another plan renews it, and are
-- waited for. So is a projector without a service (ARGV 6 is ""), which works everything and is in no list.
--
-- KEYS   engaged:meta, the machines: instance → "<when> <generation> <plan> <plan that it was told> <kinds> <well>
--        <version> <name>", "plan <plan>" → "<defined> <when it was there>", "turn <projection>" → "<instance> <when it
--        asked last, or got the turn>", "passed <instance>" → "<when it was passed over last>"
-- ARGV   1 instance, 2 generation of its processes, 3 fingerprint of its plan, 4 now (ms), 5 how many kinds of vote it
--        knows, 6 its version and name, 7 "release" to leave the list, 8 1 or 0: it has lately not got through, 9 the plans
--        that it was told last, each "<plan> <defined> <when it was there>,", 10 1: it waits for who was not told, then
--        the names of the projections
-- Reply  array: for how many ms a program that knows no machines still projects another plan, 1 while machines are still to
--        be told of the caller's plan; instance and name of one that has the plan that is projected, "" when that is the
--        caller's; how many are alive; how many of them were not told of the caller's plan, which is projected, and the
--        name of one; the plans; how many were passed over, and the name of one; then for each projection the instance
--        and name of the machine that works it

local LIVES, KEPT, PLAN_KEPT, CLAIM_HOLDS, AHEAD_MAX = 4000, 60000, 30 * 86400000, 5000, 1000 -- ms
local GONE_MAX, PLANS_TOLD, PROJECTIONS_AT = 100, 16, 11
local META, LIST = KEYS[1], KEYS[2]
local instance, generation, plan, now_text, kinds, name, leaving, well, remembered, waits_for_untold = unpack(ARGV, 1, 10)
local now = tonumber(now_text)

local members = {} -- instance → its record
local defined, seen_at = {}, {} -- plan → when it was defined, when a machine last had it
local latest = 0 -- the greatest of `defined`
local stored = {} -- plan → `defined` as the list has it
local turns = {} -- projection → instance, and since when it did not ask
local passed = {} -- instance → when it was passed over last
local gone = {} -- fields of the list that are to be removed
local claim -- plan, instance, generation, at; all but the last are nil or false when nobody has it

local function age(at) return math.abs(now - at) end -- a clock that is far ahead makes nobody live longer

-- ---- The list and the claim as they are

local function read_list()
    local held = redis.pcall('HGETALL', LIST)
    if not held.err then return held end
    if not string.find(held.err, 'WRONGTYPE', 1, true) then return nil, held end
    may('DEL', LIST)
    redis.call('DEL', LIST) -- within a second it has all that live
    return {}
end

-- False: this is no plan, or nobody has had it for too long.
local function know(its_plan, first, seen)
    if not its_plan or age(seen) >= PLAN_KEPT or #first >= 16 then return false end
    defined[its_plan] = math.max(defined[its_plan] or 0, tonumber(first))
    seen_at[its_plan] = math.max(seen_at[its_plan] or 0, tonumber(seen))
    latest = math.max(latest, defined[its_plan])
    return true
end

local function of_now(field, record, at)
    if at - now <= AHEAD_MAX then return at end
    local is = string.format('%.0f', at - now < LIVES and now or now - LIVES)
    redis.call('HSET', LIST, field, (string.gsub(record, '^%d+', is)))
    return is
end

local function take_turn(row)
    local projection, its_instance, since = string.match(row, '^turn (%l+) (%x+) (%d+)$')
    local idle, at = string.match(row, '^passed (%x+) (%d+)$')
    if projection then
        turns[projection] = {instance = its_instance, since = since}
    elseif idle and age(at) < KEPT then
        passed[idle] = at
    else
        return false
    end
    return true
end

local function take_field(field, value)
    local row = field .. ' ' .. value
    local its_plan, first, seen = string.match(row, '^plan (%x+) (%d+) (%d+)$')
    local at, its_generation, of, told, its_well, its_name =
        string.match(value, '^(%d+) (%d+) (%x+) (%x+) %d+ ([01]) %S+ (.*)$')
    if know(its_plan, first, seen) then
        stored[its_plan] = first
    elseif not its_plan and at and age(at) < KEPT then
        members[field] = {at = of_now(field, value, at), generation = its_generation, plan = of, told = told,
                          well = its_well, name = its_name}
    elseif not take_turn(row) and #gone < GONE_MAX then
        gone[#gone + 1] = field
    end
end

local function read_claim()
    local held = redis.call('HMGET', META, 'plan', 'projector', 'projector-at')
    local holder, holders_generation = string.match(held[2] or '', '^(%x+):(%d+)$')
    return {plan = held[1], instance = holder, generation = holders_generation, at = tonumber(held[3]) or 0}
end

local function claim_holds() return age(claim.at) < CLAIM_HOLDS end

local function take_claim(who, its_generation, at)
    redis.call('HSET', META, 'plan', plan, 'projector', who .. ':' .. its_generation, 'projector-at', at)
    redis.call('HDEL', META, 'projector-before') -- of an older program
end

-- For how many ms a program that knows no machines still has the claim for another plan.
local function stranger_works_for()
    local stranger = claim.instance and claim.instance ~= instance and not members[claim.instance] and claim.plan ~= plan
    return stranger and claim_holds() and CLAIM_HOLDS - age(claim.at) or 0
end

-- ---- A machine leaves

local function find_heir()
    local heir = nil
    for other, member in pairs(members) do
        if member.plan == plan and age(member.at) < LIVES then heir = other end
    end
    return heir
end

local function leave()
    local own = members[instance]
    members[instance] = nil
    if claim.plan == plan and claim.instance == instance and claim.generation == generation then
        local heir = find_heir()
        if heir then
            take_claim(heir, members[heir].generation, members[heir].at)
        else
            redis.call('HDEL', META, 'plan', 'projector', 'projector-at')
        end
    end
    if own and own.generation == generation then redis.call('HDEL', LIST, instance) end
    return {0, '', '', 0}
end

-- ---- A projector without a service

local function work_alone(wait)
    if wait == 0 then take_claim(instance, generation, now_text) end
    local at_work = {}
    for _ = PROJECTIONS_AT, #ARGV do at_work[#at_work + 1], at_work[#at_work + 2] = instance, '' end
    return {wait, '', '', 0, 0, '', '', 0, '', unpack(at_work)}
end

-- ---- A machine is alive

local function join()
    members[instance] = {at = now, plan = plan, well = well, name = string.match(name, ' (.*)') or name}
    for row in string.gmatch(remembered, '[^,]+') do know(string.match(row, '^(%x+) (%d+) (%d+)$')) end
    defined[plan] = defined[plan] or math.max(now, latest + 1) -- the order stays when the clock goes back
    seen_at[plan] = now
    if passed[instance] then redis.call('HDEL', LIST, 'passed ' .. instance) end
    passed[instance] = nil
end

local function pass_over_the_idle()
    for _, turn in pairs(turns) do
        if turn.instance ~= instance and age(turn.since) >= LIVES then passed[turn.instance] = turn.since end
    end
end

-- Forgets the others. Returns how many live, how many of the others were passed over, and the name of one of these.
local function keep_the_living()
    local count, idle, idle_name = 0, 0, ''
    for other, member in pairs(members) do
        if age(member.at) >= LIVES then
            members[other] = nil
        elseif passed[other] then
            members[other], idle, idle_name = nil, idle + 1, member.name
            redis.call('HSET', LIST, 'passed ' .. other, now_text)
        else
            count = count + 1
        end
    end
    return count, idle, idle_name
end

local function follows(one, other)
    local its, others = defined[one] or 0, defined[other] or 0
    return its > others or (its == others and one > other)
end

-- The plan that is projected, and a machine that has it.
local function find_newest()
    local newest, of = plan, instance
    for other, member in pairs(members) do
        if follows(member.plan, newest) then newest, of = member.plan, other end
    end
    return newest, of
end

local function write_list(newest)
    redis.call('HSET', LIST, instance, table.concat({now_text, generation, plan, newest, kinds, well, name}, ' '))
    for its_plan, first in pairs(defined) do
        local text = string.format('%.0f', first)
        if its_plan == plan or stored[its_plan] ~= text then
            redis.call('HSET', LIST, 'plan ' .. its_plan, string.format('%s %.0f', text, seen_at[its_plan]))
        end
    end
    if #gone > 0 then redis.call('HDEL', LIST, unpack(gone)) end
end

-- The plans that were defined last, for the caller to remember.
local function last_plans()
    local plans, rows = {}, {}
    for its_plan in pairs(defined) do plans[#plans + 1] = its_plan end
    table.sort(plans, follows)
    for i = 1, math.min(#plans, PLANS_TOLD) do
        rows[i] = string.format('%s %.0f %.0f,', plans[i], defined[plans[i]], seen_at[plans[i]])
    end
    return table.concat(rows)
end

-- How many living machines with another plan were not told of the caller's, and the name of one.
local function count_untold()
    local count, first = 0, nil
    for other, member in pairs(members) do
        if member.plan ~= plan and member.told ~= plan then
            count = count + 1
            if not first or other < first then first = other end
        end
    end
    return count, first and members[first].name or ''
end

local function worker_of(projection, newest)
    local best, best_hash = '', ''
    for other, member in pairs(members) do
        local hash = member.well .. redis.sha1hex(projection .. other)
        if member.plan == newest and hash > best_hash then best, best_hash = other, hash end
    end
    return best
end

local function share_out(newest)
    local at_work = {}
    for i = PROJECTIONS_AT, #ARGV do
        local worker = worker_of(ARGV[i], newest)
        at_work[#at_work + 1], at_work[#at_work + 2] = worker, members[worker].name
        if worker == instance or worker ~= (turns[ARGV[i]] or {}).instance then
            redis.call('HSET', LIST, 'turn ' .. ARGV[i], worker .. ' ' .. now_text)
        end
    end
    return at_work
end

local function beat(wait)
    join()
    pass_over_the_idle()
    local count, idle, idle_name = keep_the_living()
    local newest, of = find_newest()
    write_list(newest)
    if newest ~= plan then
        return {wait, of, members[of].name, count, 0, '', last_plans(), idle, idle_name, unpack(share_out(newest))}
    end
    local untold, untold_name = count_untold()
    local begun = claim.plan == plan and claim_holds()
    if untold > 0 and waits_for_untold == '1' and not begun then wait = math.max(wait, 1) end
    if wait == 0 then take_claim(instance, generation, now_text) end
    return {wait, '', '', count, untold, untold_name, last_plans(), idle, idle_name, unpack(share_out(newest))}
end

may('HSET', META, '', '')
may('HDEL', META, '')
local held, trouble = read_list()
if trouble then return trouble end
for i = 1, #held, 2 do take_field(held[i], held[i + 1]) end
claim = read_claim()
if leaving == 'release' then return leave() end
local wait = stranger_works_for()
redis.call('HDEL', META, '') -- removes nothing; after a write Redis lets a script continue at the memory limit
if name == '' then return work_alone(wait) end
return beat(wait)
