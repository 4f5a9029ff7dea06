-- Forgets a part of a project, of which nothing is left. KEYS[2] parts of the project; ARGV[3] the part.
return redis.call('ZREM', KEYS[2], take())
