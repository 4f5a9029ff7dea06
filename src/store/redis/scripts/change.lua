-- A change. KEYS[2] keys, KEYS[3] projects, KEYS[4] limits, KEYS[5] audit, KEYS[6..] shelves of the documents.
if meta[4] == token then return 1 end -- It was applied, and the answer was lost.
local first, other = check_keys(KEYS[2])
if other then return redis.error_reply('HWKEY ' .. other) end
local from, rows = take(), tonumber(take())
local ends = meta[5] or '0'
if rows > 0 and ends ~= from then return redis.error_reply('HWCONFLICT ' .. ends) end
redis.call('HSET', KEYS[1], 'step', ARGV[4], 'change', token, 'until', lease())
if rows > 0 then redis.call('HSET', KEYS[1], 'audit_end', string.format('%.0f', tonumber(from) + rows)) end
for row = 0, rows - 1 do redis.call('HSET', KEYS[5], string.format('%.0f', tonumber(from) + row), take()) end
add_keys(first, KEYS[2], KEYS[3])
for _ = 1, tonumber(take()) do redis.call('RPUSH', KEYS[4], take()) end
for i = 6, #KEYS do
  local name, is_there, bytes = take(), take(), take()
  if is_there == '1' then redis.call('HSET', KEYS[i], name, bytes) else redis.call('HDEL', KEYS[i], name) end
end
return 1
