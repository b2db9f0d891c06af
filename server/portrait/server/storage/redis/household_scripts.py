"""The scripts that change memberships in households: each on the keys of the member, or of the household."""

from portrait.server.storage.redis.scripts import FORGOTTEN_AT, NEXT_NUMBER, ON_FULL_MEMORY, Script

_SET_HOUSEHOLD = (
    NEXT_NUMBER
    + FORGOTTEN_AT
    + """
local known, counter, tombstones = unpack(KEYS)
if tonumber(ARGV[2]) <= (forgotten_at(tombstones, ARGV[1]) or -1) then return 'FORGOTTEN' end
if (redis.call('HGET', known, 'login') or '') ~= ARGV[3] then return 'LINKED' end
redis.call('HDEL', known, 'login')
redis.call('HSET', known, 'household', ARGV[4])
next_number(counter)
return 'JOINED'
"""
)
"""At the member. ARGV: hashes of its id, the time of the membership, what is left of a link of its own that was cut
short, empty for nothing, and JSON of the membership. Returns the outcome."""

_CLEAR_HOUSEHOLD = (
    ON_FULL_MEMORY
    + NEXT_NUMBER
    + """
redis.call('HDEL', KEYS[1], 'household')
next_number(KEYS[2])
"""
)
"""At the member."""

_ADD_MEMBER = (
    NEXT_NUMBER
    + """
local members, counter = unpack(KEYS)
local is_member = redis.call('SISMEMBER', members, ARGV[1]) == 1
if not is_member and redis.call('SCARD', members) >= tonumber(ARGV[2]) then return 'FULL' end
redis.call('SADD', members, ARGV[1])
next_number(counter)
return 'JOINED'
"""
)
"""At the household. ARGV: shopper id, the most members. Returns the outcome."""

_REMOVE_MEMBER = (
    ON_FULL_MEMORY
    + NEXT_NUMBER
    + """
redis.call('SREM', KEYS[1], ARGV[1])
next_number(KEYS[2])
"""
)
"""At the household. ARGV: shopper id."""

SET_HOUSEHOLD, CLEAR_HOUSEHOLD = Script(_SET_HOUSEHOLD), Script(_CLEAR_HOUSEHOLD)
ADD_MEMBER, REMOVE_MEMBER = Script(_ADD_MEMBER), Script(_REMOVE_MEMBER)
