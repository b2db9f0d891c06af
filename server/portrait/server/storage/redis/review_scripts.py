"""The scripts that set and remove reviews in Redis, each on the keys of one slot."""

from portrait.server.storage.redis.scripts import NEXT_NUMBER, TOUCH, Script

_REQUIRE_ROOM = """
local reviews = KEYS[1]
if redis.call('HEXISTS', reviews, ARGV[1]) == 0 and redis.call('HLEN', reviews) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', reviews, ARGV[1], ARGV[2])
"""

_SET = (
    NEXT_NUMBER
    + _REQUIRE_ROOM
    + """
local _, known, reviewed, counter = unpack(KEYS)
redis.call('ZADD', reviewed, 0, ARGV[4])
redis.call('HSET', known, 'reviewed', '1', 'version', string.format('%.0f', next_number(counter)))
return 1
"""
)
"""ARGV: target and review, the most reviews, the shopper id. Returns whether there was room."""

_REMOVE = (
    NEXT_NUMBER
    + TOUCH
    + """
local reviews, known, reviewed, counter = unpack(KEYS)
if redis.call('HDEL', reviews, ARGV[1]) == 0 then
    touch(counter)
    return 0
end
redis.call('HSET', known, 'version', string.format('%.0f', next_number(counter)))
if redis.call('EXISTS', reviews) == 0 then
    redis.call('ZREM', reviewed, ARGV[2])
    redis.call('HDEL', known, 'reviewed')
end
return 1
"""
)
"""ARGV: target, shopper id. Returns whether there was a review."""

_SET_SHARED = (
    _REQUIRE_ROOM
    + """
redis.call('INCR', KEYS[2])
return 1
"""
)
"""ARGV: target and review, the most reviews. Returns whether there was room."""

_REMOVE_SHARED = """
local removed = redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('INCRBY', KEYS[2], removed)
return removed
"""
"""ARGV: target. Returns whether there was a review."""

SET_REVIEW, REMOVE_REVIEW = Script(_SET), Script(_REMOVE)
SET_SHARED_REVIEW, REMOVE_SHARED_REVIEW = Script(_SET_SHARED), Script(_REMOVE_SHARED)
