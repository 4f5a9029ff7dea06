-- One command on KEYS[2..], such as a note; the lease goes on. `holds` asks no more than who writes.
if meta[4] == token then return 1 end -- It was taken, and the answer was lost.
local command, field = take(), take()
if command == 'audit_ends' and field ~= (meta[5] or '0') then return redis.error_reply('HWCONFLICT ' .. (meta[5] or '0')) end
redis.call('HSET', KEYS[1], 'step', ARGV[4], 'change', token, 'until', lease())
if command == 'drop_audit' then
  -- Rows before `field`, at most as many as the next argument says.
  local from = tonumber(redis.call('HGET', KEYS[1], 'audit_from') or '0')
  local ends = math.min(tonumber(field), tonumber(meta[5] or '0'), from + tonumber(take()))
  local dropped = 0
  for row = from, ends - 1 do dropped = dropped + redis.call('HDEL', KEYS[2], string.format('%.0f', row)) end
  if ends > from then redis.call('HSET', KEYS[1], 'audit_from', string.format('%.0f', ends)) end
  return dropped
elseif command == 'restore' then
  -- Rows that a store which lost them gets again: a hash, a set, or a list that is new; or that it has again, and were removed.
  if field == 'hash' then redis.call('HSET', KEYS[2], unpack(ARGV, at)) end
  if field == 'set' then redis.call('SADD', KEYS[2], unpack(ARGV, at)) end
  if field == 'not in hash' then redis.call('HDEL', KEYS[2], unpack(ARGV, at)) end
  if field == 'not in set' then redis.call('SREM', KEYS[2], unpack(ARGV, at)) end
  if field == 'new list' then redis.call('DEL', KEYS[2]) end
  if (field == 'new list' or field == 'list') and ARGV[at] then redis.call('RPUSH', KEYS[2], unpack(ARGV, at)) end
  return 1
end
if command == 'unset' then redis.call('HDEL', KEYS[2], field) end
if command == 'remove' then redis.call('UNLINK', unpack(KEYS, 2)) end
if command == 'HSET' then redis.call('HSET', KEYS[2], field, take()) end
return 1
