"""The scripts that Redis runs, each on the keys of one slot: all of a script is done, or nothing."""

import hashlib
from dataclasses import dataclass

NEXT_NUMBER = """
local function next_number(key)
    local now = redis.call('TIME')
    local number = now[1] * 1000000 + now[2]
    local last = tonumber(redis.call('GET', key) or '0')
    if last >= number then number = last + 1 end
    redis.call('SET', key, string.format('%.0f', number))
    return number
end
"""
"""Numbers of a bucket: microseconds since 1970 by the clock of its server, but each higher than the one before."""
FORGOTTEN_AT = """
local function forgotten_at(tombstones, hashes)
    local latest = nil
    for hash in string.gmatch(hashes, '[^,]+') do
        local tombstone = redis.call('HGET', tombstones, hash)
        local at = tombstone and tonumber(string.match(tombstone, ':(%d+)$'))
        if at and (not latest or at > latest) then latest = at end
    end
    return latest
end
"""
"""The moment of the tombstones that any of some hashes has; commas stand between the hashes."""
TOUCH = "local function touch(key) redis.call('INCRBY', key, 0) end"
"""A write that changes nothing. WAIT waits for the writes of its connection alone: where a call is repeated, and all is
done already, it would not wait for what the first one wrote."""

_RECORD = (
    NEXT_NUMBER
    + FORGOTTEN_AT
    + TOUCH
    + """
local history, events, known, consents, shoppers, arrivals, counter, tombstones = unpack(KEYS)
local fresh = redis.call('EXISTS', history) == 0
local refused_until = forgotten_at(tombstones, ARGV[2]) or -1
local outcomes, arrival = {}, nil
for place = 4, #ARGV, 4 do
    local id, time, digest, event = unpack(ARGV, place, place + 3)
    local stored = redis.call('HGET', events, id)
    if stored then
        outcomes[#outcomes + 1] = stored == digest and 'KNOWN' or 'CONFLICT'
    elseif tonumber(time) <= refused_until then
        outcomes[#outcomes + 1] = 'FORGOTTEN'
    else
        arrival = next_number(counter)
        redis.call('ZADD', history, time, string.format('%016x', arrival) .. event)
        redis.call('HSET', events, id, digest)
        outcomes[#outcomes + 1] = 'NEW'
    end
end
if arrival then
    redis.call('ZADD', shoppers, 0, ARGV[1])
    redis.call('ZADD', arrivals, arrival, ARGV[1])
    redis.call('HSET', known, 'version', string.format('%.0f', arrival))
    for _, key in ipairs({history, events}) do
        if ARGV[3] == '' then
            redis.call('PERSIST', key)
        elseif fresh then
            redis.call('PEXPIRE', key, ARGV[3])
        else
            redis.call('PEXPIRE', key, ARGV[3], 'GT') -- leaves a key that lives for ever
        end
    end
else
    touch(counter)
end
return outcomes
"""
)
"""ARGV: shopper id, its hashes, the milliseconds until the last of the events expires, empty for never, then for each
event its id, time, digest and JSON. Returns the outcome of each."""

ON_FULL_MEMORY = "#!lua flags=allow-oom"
"""First line of a script that runs although the memory is full: a shopper can be forgotten then too."""

_FORGET = (
    ON_FULL_MEMORY
    + FORGOTTEN_AT
    + """
local history, events, known, consents, shoppers, arrivals, counter, tombstones, reviews, reviewed = unpack(KEYS)
local at = tonumber(ARGV[3])
local last = redis.call('ZREVRANGE', history, 0, 0, 'WITHSCORES')
if last[2] then at = math.max(at, tonumber(last[2])) end
at = math.max(at, forgotten_at(tombstones, ARGV[2]) or at)
local removed = redis.call('ZCARD', history)
redis.call('DEL', history, events, known, consents, reviews)
redis.call('ZREM', shoppers, ARGV[1])
redis.call('ZREM', reviewed, ARGV[1])
redis.call('ZREM', arrivals, ARGV[1])
local current = string.match(ARGV[2], '^[^,]+')
for hash in string.gmatch(ARGV[2], '[^,]+') do
    if hash ~= current then redis.call('HDEL', tombstones, hash) end
end
redis.call('HSET', tombstones, current, ARGV[4] .. ':' .. string.format('%.0f', at))
return {removed, string.format('%.0f', at)}
"""
)
"""ARGV: shopper id, its hashes, that of now first, the moment, the deletion's number. Returns how many events went,
and the moment."""

_COUNT_DELETION = ON_FULL_MEMORY + "\nreturn redis.call('INCR', KEYS[1])"

_NUMBER_DELETION = (
    ON_FULL_MEMORY
    + """
local found = redis.call('HGET', KEYS[1], ARGV[1])
if found == ARGV[2] .. ':' .. ARGV[4] then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[3] .. ':' .. ARGV[4])
end
"""
)
"""ARGV: the hash, the number until now and from now on, the moment. Changes nothing if it is another deletion."""

_RECORD_CONSENTS = (
    NEXT_NUMBER
    + TOUCH
    + """
local known, consents, counter = unpack(KEYS)
if redis.call('HGET', known, 'token') == ARGV[1] then
    touch(counter)
    return
end
for place = 2, #ARGV, 5 do
    local purpose, granted, time, recorded_at, record = unpack(ARGV, place, place + 4)
    redis.call('RPUSH', consents, record)
    local before = redis.call('HGET', known, 'consent:' .. purpose)
    local withdrawn_at = before and tonumber(string.match(before, ':(%d*)$')) or nil
    local own = tonumber(time)
    if granted == '0' then withdrawn_at = math.max(withdrawn_at or 0, own) end
    if granted == '0' or not withdrawn_at or time == recorded_at
            or math.floor(own / 1000000) >= math.floor(withdrawn_at / 1000000) then
        local shown = withdrawn_at and string.format('%.0f', withdrawn_at) or ''
        redis.call('HSET', known, 'consent:' .. purpose, granted .. ':' .. shown)
    end
end
if string.sub(redis.call('HGET', known, 'consent:demographics') or '', 1, 1) == '0' then
    redis.call('HDEL', known, 'demographics')
end
redis.call('HSET', known, 'token', ARGV[1], 'version', string.format('%.0f', next_number(counter)))
"""
)
"""ARGV: a token of this call, then for each consent its purpose, 1 or 0, time, time of recording, and JSON.

A withdrawal counts whenever it arrives; a grant does unless its own time is before that of a known withdrawal, as in
the store of SQLite. A call that is repeated, as its answer was lost, does nothing.
"""

_SET_DEMOGRAPHICS = (
    NEXT_NUMBER
    + """
local known, counter = unpack(KEYS)
if string.sub(redis.call('HGET', known, 'consent:demographics') or '', 1, 1) == '0' then return 0 end
redis.call('HSET', known, 'demographics', ARGV[1], 'version', string.format('%.0f', next_number(counter)))
return 1
"""
)
"""ARGV: JSON. Returns whether it was kept."""

_CHANGE_ITEMS = """
local changes, numbers, counter = unpack(KEYS)
for place = 2, #ARGV, 2 do
    local number = redis.call('INCR', counter)
    redis.call('HSET', changes, ARGV[place], number .. ' ' .. ARGV[1] .. ' ' .. ARGV[place + 1])
    redis.call('ZADD', numbers, number, ARGV[place])
end
"""
"""ARGV: the writer, then for each item catalogue and id, and JSON of the item, empty if it was removed."""


_CLAIM_SWEEPS = """
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])
for _, bucket in ipairs(due) do redis.call('ZADD', KEYS[1], ARGV[1], bucket) end
return due
"""
"""ARGV: the time, the time up to which a sweep is due again, a number. Returns up to so many buckets to sweep."""

_EXPIRE = (
    ON_FULL_MEMORY
    + """
local history, events, known, shoppers, arrivals = unpack(KEYS)
local first, rows = tonumber(ARGV[2]), tonumber(ARGV[3])
local cutoffs, latest = {}, nil
for place = 4, #ARGV, 2 do
    local cutoff = tonumber(ARGV[place + 1])
    cutoffs[ARGV[place]] = cutoff
    latest = math.max(latest or cutoff, cutoff)
end
local looked, removed = 0, 0
if latest then
    local range = '(' .. string.format('%.0f', latest)
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', history, '-inf', range, 'LIMIT', first, rows)) do
        local event = cjson.decode(string.sub(member, 17))
        local cutoff = cutoffs[event[2]]
        looked = looked + 1
        if cutoff and event[3] < cutoff then
            redis.call('ZREM', history, member)
            redis.call('HDEL', events, event[1])
            removed = removed + 1
        end
    end
end
local function milliseconds_left()
    local left = 0
    for page = 0, 9 do
        local members = redis.call('ZREVRANGE', history, page * 100, page * 100 + 99)
        for _, member in ipairs(members) do
            local event = cjson.decode(string.sub(member, 17))
            local cutoff = cutoffs[event[2]]
            if not cutoff then return nil end
            left = math.max(left, event[3] - cutoff)
        end
        if #members < 100 then return math.max(math.ceil(left / 1000), 1) end
    end
end
if redis.call('EXISTS', history) == 0 then
    redis.call('DEL', events)
    if redis.call('HEXISTS', known, 'links') == 0 then
        redis.call('ZREM', shoppers, ARGV[1])
        redis.call('ZREM', arrivals, ARGV[1])
    end
    if redis.call('HLEN', known) == 1 then redis.call('HDEL', known, 'version') end
elseif looked < rows then
    local left = milliseconds_left()
    for _, key in ipairs({history, events}) do
        if left then
            redis.call('PEXPIRE', key, string.format('%.0f', left))
        else
            redis.call('PERSIST', key)
        end
    end
end
return {removed, looked == rows and first + looked - removed or -1}
"""
)
"""Deletes expired events of a shopper, and lets Redis delete the rest once the last of them has expired.

ARGV: shopper id; how many old events to skip, and how many to look at; then types and their cutoffs. Returns how many
were removed, and how many to skip the next time, -1 if all were looked at. Where a thousand events don't tell when the
last of all expires, Redis keeps them: the next sweeps delete them.
"""

_RAISE_SCHEMA = """
local schema = tonumber(redis.call('HGET', KEYS[1], 'schema'))
if schema == 3 or ARGV[2] == '1' then redis.call('HSET', KEYS[1], 'limited', '1') end
if schema == 4 or ARGV[1] == '4' then redis.call('HSET', KEYS[1], 'linked', '1') end
if tonumber(ARGV[1]) > schema then redis.call('HSET', KEYS[1], 'schema', ARGV[1]) end
"""
"""ARGV: the least schema from now on, 1 if events may expire."""

_NOTE_KEY = ON_FULL_MEMORY + _RAISE_SCHEMA + "redis.call('SADD', KEYS[2], ARGV[3])"
"""Runs before the first tombstone by a key. ARGV: the least schema from now on, 0, the fingerprint of the key."""

_BEGIN_MIGRATION = """
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HSET', KEYS[1], 'migrating', ARGV[1]) end
return redis.call('HGET', KEYS[1], 'migrating')
"""
"""ARGV: identity of the source. Returns that of the migration that fills the state; nothing if it is whole."""

_END_MIGRATION = """
redis.call('HSET', KEYS[1], 'schema', ARGV[1], 'identity', ARGV[2])
redis.call('HDEL', KEYS[1], 'migrating')
"""
"""ARGV: schema and identity."""

_LOAD_EVENTS = """
local history, events, shoppers, arrivals, counter = unpack(KEYS)
local last = 0
for place = 2, #ARGV, 5 do
    local arrival, time, member, id, digest = unpack(ARGV, place, place + 4)
    redis.call('ZADD', history, time, member)
    redis.call('HSET', events, id, digest)
    last = math.max(last, tonumber(arrival))
end
local number = string.format('%.0f', last)
redis.call('ZADD', shoppers, 0, ARGV[1])
redis.call('ZADD', arrivals, 'GT', number, ARGV[1])
if last > tonumber(redis.call('GET', counter) or '0') then redis.call('SET', counter, number) end
"""
"""ARGV: shopper id, then for each event number of arrival, time, member of the history, id and digest."""

_LOAD_SHOPPER = """
local known, consents, migrated, shoppers = unpack(KEYS)
redis.call('DEL', consents)
local fields = 3 + tonumber(ARGV[2])
for place = 3, fields - 1 do redis.call('RPUSH', consents, ARGV[place]) end
for place = fields, #ARGV, 2 do redis.call('HSET', known, ARGV[place], ARGV[place + 1]) end
if redis.call('HEXISTS', known, 'links') == 1 then redis.call('ZADD', shoppers, 0, ARGV[1]) end
redis.call('SADD', migrated, ARGV[1])
"""
"""ARGV: shopper id, number of consents, each of them as JSON, then fields and values of what is known."""

_LOAD_ITEMS = """
local changes, numbers, counter = unpack(KEYS)
local last = tonumber(redis.call('GET', counter) or '0')
for place = 1, #ARGV, 3 do
    local number, field, change = unpack(ARGV, place, place + 2)
    redis.call('HSET', changes, field, change)
    redis.call('ZADD', numbers, number, field)
    last = math.max(last, tonumber(number))
end
redis.call('SET', counter, string.format('%.0f', last))
"""
"""ARGV: for each item the number of its change, catalogue and id, and the change."""

_READ_COUNTER = """#!lua flags=no-writes
local now = redis.call('TIME')
return {redis.call('GET', KEYS[1]) or '0', string.format('%.0f', now[1] * 1000000 + now[2])}
"""
"""Returns the highest number of a bucket, and the time of its server in microseconds since 1970."""

_CHOOSE_TRAFFIC = """
local stamp = redis.call('HGET', KEYS[1], 'stamp') or ''
if stamp == ARGV[2] then return 1 end
if stamp ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'stamp', ARGV[2], 'traffic', ARGV[3])
return 1
"""
"""ARGV: the stamp until now, empty for none, and from now on, and JSON. Returns 0 if somebody else chose meanwhile.

A call that is repeated, as its answer was lost, does nothing.
"""

_REMOVE_SILENT_GATEWAYS = """
local function remove_silent_gateways(gateways, times, now, seconds)
    for _, gateway in ipairs(redis.call('ZRANGEBYSCORE', times, '-inf', now - seconds * 1000000)) do
        redis.call('ZREM', times, gateway)
        redis.call('HDEL', gateways, gateway)
    end
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
"""

_REPORT_GATEWAY = (
    _REMOVE_SILENT_GATEWAYS
    + """
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('ZADD', KEYS[2], now, ARGV[2])
remove_silent_gateways(KEYS[1], KEYS[2], now, tonumber(ARGV[1]))
"""
)
"""ARGV: seconds of silence after which a gateway is gone, the gateway, and JSON."""

_LIST_GATEWAYS = (
    _REMOVE_SILENT_GATEWAYS
    + """
remove_silent_gateways(KEYS[1], KEYS[2], now, tonumber(ARGV[1]))
return redis.call('HGETALL', KEYS[1])
"""
)
"""ARGV: seconds of silence after which a gateway is gone. Returns gateways and their JSON."""


@dataclass(frozen=True)
class Script:
    """A script and the hash by which Redis knows it."""

    text: str

    @property
    def sha(self) -> str:
        """SHA-1 of the text, as EVALSHA wants it."""
        return hashlib.sha1(self.text.encode()).hexdigest()  # noqa: S324 - Redis's choice, nothing secret


RECORD, FORGET, NUMBER_DELETION = Script(_RECORD), Script(_FORGET), Script(_NUMBER_DELETION)
COUNT_DELETION, READ_COUNTER = Script(_COUNT_DELETION), Script(_READ_COUNTER)
RAISE_SCHEMA, NOTE_KEY = Script(_RAISE_SCHEMA), Script(_NOTE_KEY)
BEGIN_MIGRATION, END_MIGRATION = Script(_BEGIN_MIGRATION), Script(_END_MIGRATION)
LOAD_EVENTS, LOAD_SHOPPER, LOAD_ITEMS = Script(_LOAD_EVENTS), Script(_LOAD_SHOPPER), Script(_LOAD_ITEMS)
CLAIM_SWEEPS, EXPIRE = Script(_CLAIM_SWEEPS), Script(_EXPIRE)
RECORD_CONSENTS, SET_DEMOGRAPHICS, CHANGE_ITEMS = (
    Script(_RECORD_CONSENTS),
    Script(_SET_DEMOGRAPHICS),
    Script(_CHANGE_ITEMS),
)
CHOOSE_TRAFFIC, REPORT_GATEWAY, LIST_GATEWAYS = (
    Script(_CHOOSE_TRAFFIC),
    Script(_REPORT_GATEWAY),
    Script(_LIST_GATEWAYS),
)
