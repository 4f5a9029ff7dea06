-- Forgets a part of a project, of which nothing is left. KEYS[2] parts of the project; then in ARGV the part.
return redis.call('ZREM', KEYS[2], take())
