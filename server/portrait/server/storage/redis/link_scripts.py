"""The scripts that change links: each on the keys of one of the two ids, or of the lock of a login."""

from portrait.server.storage.redis.scripts import FORGOTTEN_AT, NEXT_NUMBER, ON_FULL_MEMORY, Script

_LOCK = (
    ON_FULL_MEMORY
    + """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
)
"""ARGV: a token, the milliseconds after which the lock opens by itself. Returns whether the lock is of the token."""

_UNLOCK = (
    ON_FULL_MEMORY
    + """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""
)
"""ARGV: the token."""

_IDENTITY_CHANGES = (
    NEXT_NUMBER
    + FORGOTTEN_AT
    + """
local function is_forgotten(tombstones, hashes, time)
    return tonumber(time) <= (forgotten_at(tombstones, hashes) or -1)
end
local function note_change(known, arrivals, counter, shopper)
    local number = string.format('%.0f', next_number(counter))
    redis.call('HSET', known, 'version', number, 'relinked', number)
    redis.call('ZADD', arrivals, number, shopper)
end
"""
)

_ADD_LINK = (
    _IDENTITY_CHANGES
    + """
local known, shoppers, arrivals, counter, tombstones = unpack(KEYS)
if is_forgotten(tombstones, ARGV[2], ARGV[3]) then return 'FORGOTTEN' end
if (redis.call('HGET', known, 'login') or '') ~= ARGV[5] then return 'LOGIN_LINKED' end
redis.call('HDEL', known, 'login')
redis.call('HSET', known, 'links', ARGV[4])
redis.call('ZADD', shoppers, 0, ARGV[1])
note_change(known, arrivals, counter, ARGV[1])
return 'LINKED'
"""
)
"""At the login. ARGV: shopper id, its hashes, the time of the link, JSON of all anonymous ids, and what is left of a
link of its own that was cut short, empty for nothing. Returns the outcome."""

_REMOVE_LINK = (
    _IDENTITY_CHANGES
    + """
local known, shoppers, arrivals, counter, history = unpack(KEYS)
if ARGV[2] ~= '' then
    redis.call('HSET', known, 'links', ARGV[2])
else
    redis.call('HDEL', known, 'links')
    if redis.call('EXISTS', history) == 0 then redis.call('ZREM', shoppers, ARGV[1]) end
end
note_change(known, arrivals, counter, ARGV[1])
"""
)
"""At the login. ARGV: shopper id, JSON of the anonymous ids that are left, empty if none is."""

_SET_LOGIN = (
    _IDENTITY_CHANGES
    + """
local known, arrivals, counter, tombstones = unpack(KEYS)
if is_forgotten(tombstones, ARGV[2], ARGV[3]) then return 'FORGOTTEN' end
if redis.call('HEXISTS', known, 'links') == 1 then return 'HAS_LINKS' end
if redis.call('HEXISTS', known, 'household') == 1 then return 'MEMBER' end
if (redis.call('HGET', known, 'login') or '') ~= ARGV[4] then return 'TAKEN' end
redis.call('HSET', known, 'login', ARGV[5])
note_change(known, arrivals, counter, ARGV[1])
return 'LINKED'
"""
)
"""At the anonymous id. ARGV: shopper id, its hashes, the time of the link, the JSON of the link of before, empty for
none, and that of the new one. Returns the outcome."""

_CLEAR_LOGIN = (
    _IDENTITY_CHANGES
    + """
local known, arrivals, counter = unpack(KEYS)
redis.call('HDEL', known, 'login')
note_change(known, arrivals, counter, ARGV[1])
"""
)
"""At the anonymous id. ARGV: shopper id."""

LOCK, UNLOCK = Script(_LOCK), Script(_UNLOCK)
ADD_LINK, REMOVE_LINK = Script(_ADD_LINK), Script(_REMOVE_LINK)
SET_LOGIN, CLEAR_LOGIN = Script(_SET_LOGIN), Script(_CLEAR_LOGIN)
