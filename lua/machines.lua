-- include: may
-- Keeps the list of the machines on this store (services, project/membership.c), and says who works which projection.
--
-- A machine is alive while its record is younger than LIVES. Of the plans of the living the one that was defined last is
-- projected. When it was, is kept for each plan as long as a machine has it, and PLAN_KEPT longer: so a machine with an
-- old plan that starts again does not bring the old plan back. Among the living with that plan a projection
-- is worked by the one with the highest hash of both names (rendezvous hashing): who comes or goes moves nothing else.
-- One that has lately not got through, because a part of the store is away for it alone, comes after all others.
-- A plan that follows another one waits until each living machine with another plan has been told of it, as its record
-- says: so the two are not at work at once. It waits as long as the caller wants to (ARGV 10), and no more once it has
-- begun: then somebody has the claim for it.
-- Each caller gets the plans that were defined last, and sends them with its next call: so a list that was emptied, or is
-- of an older snapshot of Redis, learns the order again from any of them.
--
-- engaged:meta has a claim for programs that know no machines: they wait while one with another plan renews it, and are
-- waited for. So is a projector without a service (ARGV 6 is ""), which works everything and is in no list.
--
-- KEYS   engaged:meta, the machines: instance → "<when> <generation> <plan> <plan that it was told> <kinds> <well>
--        <version> <name>", "plan <plan>" → "<defined> <when it was there>"
-- ARGV   1 instance, 2 generation of its processes, 3 fingerprint of its plan, 4 now (ms), 5 how many kinds of vote it
--        knows, 6 its version and name, 7 "release" to leave the list, 8 1 or 0: it has lately not got through, 9 the plans
--        that it was told last, each "<plan> <defined> <when it was there>,", 10 1: it waits for who was not told, then
--        the names of the projections
-- Reply  array: for how many ms a program that knows no machines still projects another plan, 1 while machines are still to
--        be told of the caller's plan; instance and name of one that
--        has the plan that is projected, "" when that is the caller's; how many are alive; how many of them were not told of
--        the caller's plan, which is projected, and the name of one; the plans; then for each projection the instance and
--        name of the machine that works it

local LIVES, KEPT, PLAN_KEPT, CLAIM_HOLDS, GONE_MAX, PLANS_TOLD = 4000, 60000, 30 * 86400000, 5000, 100, 16
local NAMES_AT, stored = 11, {}
local instance, generation, plan, now, name = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[6]
local held, members, defined, seen_at, gone, latest = redis.pcall('HGETALL', KEYS[2]), {}, {}, {}, {}, 0

may('HSET', KEYS[1], '', '')
may('HDEL', KEYS[1], '')
if held.err then
    if not string.find(held.err, 'WRONGTYPE', 1, true) then return held end
    may('DEL', KEYS[2])
    redis.call('DEL', KEYS[2]) -- within a second it has all that live
    held = {}
end

local function age(at) return math.abs(now - at) end -- a clock that is far ahead makes nobody live longer

local function know(its_plan, first, seen)
    if not its_plan or age(seen) >= PLAN_KEPT or #first >= 16 then return false end
    defined[its_plan] = math.max(defined[its_plan] or 0, tonumber(first))
    seen_at[its_plan] = math.max(seen_at[its_plan] or 0, tonumber(seen))
    latest = math.max(latest, defined[its_plan])
    return true
end

for i = 1, #held, 2 do
    local its_plan, first, seen = string.match(held[i] .. ' ' .. held[i + 1], '^plan (%x+) (%d+) (%d+)$')
    local at, its_generation, of, told, well, its_name =
        string.match(held[i + 1], '^(%d+) (%d+) (%x+) (%x+) %d+ ([01]) %S+ (.*)$')
    if know(its_plan, first, seen) then
        stored[its_plan] = first
    elseif not its_plan and at and age(at) < KEPT then
        members[held[i]] = {at = at, generation = its_generation, plan = of, told = told, well = well, name = its_name}
    elseif #gone < GONE_MAX then
        gone[#gone + 1] = held[i]
    end
end

local claim = redis.call('HMGET', KEYS[1], 'plan', 'projector', 'projector-at')
local holder, holders_generation = string.match(claim[2] or '', '^(%x+):(%d+)$')

local function hold(who, its_generation, at)
    redis.call('HSET', KEYS[1], 'plan', plan, 'projector', who .. ':' .. its_generation, 'projector-at', at)
    redis.call('HDEL', KEYS[1], 'projector-before') -- of an older program
end

if ARGV[7] == 'release' then
    local own, heir = members[instance], nil
    members[instance] = nil
    for other, member in pairs(members) do
        if member.plan == plan and age(member.at) < LIVES then heir = other end
    end
    if claim[1] == plan and holder == instance and holders_generation == generation then
        if heir then
            hold(heir, members[heir].generation, members[heir].at)
        else
            redis.call('HDEL', KEYS[1], 'plan', 'projector', 'projector-at')
        end
    end
    if own and own.generation == generation then redis.call('HDEL', KEYS[2], instance) end
    return {0, '', '', 0}
end

local stranger = holder and holder ~= instance and not members[holder] and claim[1] ~= plan
local waits = stranger and age(tonumber(claim[3]) or 0) < CLAIM_HOLDS and CLAIM_HOLDS - age(claim[3]) or 0
redis.call('HDEL', KEYS[1], '') -- removes nothing; after a write Redis lets a script continue at the memory limit

local at_work = {}
if name == '' then
    if waits == 0 then hold(instance, generation, ARGV[4]) end
    for i = NAMES_AT, #ARGV do at_work[#at_work + 1], at_work[#at_work + 2] = instance, '' end
    return {waits, '', '', 0, 0, '', '', unpack(at_work)}
end

members[instance] = {at = now, plan = plan, well = ARGV[8], name = string.match(name, ' (.*)') or name}
for row in string.gmatch(ARGV[9], '[^,]+') do know(string.match(row, '^(%x+) (%d+) (%d+)$')) end
defined[plan] = defined[plan] or math.max(now, latest + 1) -- the order stays when the clock goes back
seen_at[plan] = now

local newest, of, count = plan, instance, 0
for other, member in pairs(members) do
    if age(member.at) >= LIVES then
        members[other] = nil
    else
        local its, best = defined[member.plan] or 0, defined[newest]
        if its > best or (its == best and member.plan > newest) then newest, of = member.plan, other end
        count = count + 1
    end
end

redis.call('HSET', KEYS[2], instance, table.concat({ARGV[4], generation, plan, newest, ARGV[5], ARGV[8], name}, ' '))
local plans = {}
for its_plan, first in pairs(defined) do
    local text = string.format('%.0f', first)
    if its_plan == plan or stored[its_plan] ~= text then
        redis.call('HSET', KEYS[2], 'plan ' .. its_plan, string.format('%s %.0f', text, seen_at[its_plan]))
    end
    plans[#plans + 1] = its_plan
end
if #gone > 0 then redis.call('HDEL', KEYS[2], unpack(gone)) end

table.sort(plans, function(one, other)
    return defined[one] > defined[other] or (defined[one] == defined[other] and one > other)
end)
for i = 1, #plans do
    plans[i] = i <= PLANS_TOLD and string.format('%s %.0f %.0f,', plans[i], defined[plans[i]], seen_at[plans[i]]) or ''
end
local told = table.concat(plans)

local untold, first_untold = 0, ''
if newest == plan then
    for other, member in pairs(members) do
        if member.plan ~= plan and member.told ~= plan then
            untold = untold + 1
            if first_untold == '' or other < first_untold then first_untold = other end
        end
    end
end
local begun = claim[1] == plan and age(tonumber(claim[3]) or 0) < CLAIM_HOLDS
if untold > 0 and ARGV[10] == '1' and not begun then waits = math.max(waits, 1) end
local untold_name = untold > 0 and members[first_untold].name or ''
for i = NAMES_AT, #ARGV do
    local best, best_hash = '', ''
    for other, member in pairs(members) do
        local hash = member.well .. redis.sha1hex(ARGV[i] .. other)
        if member.plan == newest and hash > best_hash then best, best_hash = other, hash end
    end
    at_work[#at_work + 1], at_work[#at_work + 2] = best, members[best].name
end
if waits == 0 and newest == plan then hold(instance, generation, ARGV[4]) end
if newest == plan then return {waits, '', '', count, untold, untold_name, told, unpack(at_work)} end
return {waits, of, members[of].name, count, 0, '', told, unpack(at_work)}
