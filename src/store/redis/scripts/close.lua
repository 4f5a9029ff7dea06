-- The writer leaves: another need not wait for its lease. KEYS[1] meta; ARGV[1] its fence.
if redis.call('HGET', KEYS[1], 'fence') == ARGV[1] then redis.call('HSET', KEYS[1], 'until', '0') end
return 1
