-- A change, and before it the end of a project, if there is one: what is across projects of it. KEYS[2] keys, KEYS[3]
-- projects, KEYS[4] limits, KEYS[5] audit, KEYS[6] workers, KEYS[7..] shelves of the documents.
if meta[4] == token then return 1 end -- It was applied, and the answer was lost.
local ends_project, project, keys_end, gone = take() == '1', nil, nil, {}
if ends_project then
  project, keys_end = take(), take()
  for _ = 1, tonumber(take()) do gone[take()] = true end
end
local first, other = check_keys(KEYS[2])
if other then return redis.error_reply('HWKEY ' .. other) end
local from, only_at_end, rows = take(), take() == '1', tonumber(take())
local ends = meta[5] or '0'
if (rows > 0 or only_at_end) and ends ~= from then return redis.error_reply('HWCONFLICT ' .. ends) end
redis.call('HSET', KEYS[1], 'step', ARGV[4], 'change', token, 'until', lease())
if ends_project then
  local last = redis.call('HGET', KEYS[1], 'projects_end') or redis.call('HLEN', KEYS[3])
  redis.call('HSET', KEYS[1], 'keys_end', keys_end, 'projects_end', last)
  redis.call('HDEL', KEYS[3], project)
  for key in pairs(gone) do redis.call('HDEL', KEYS[2], key) end
  local limits, kept = redis.call('LRANGE', KEYS[4], 0, -1), {}
  for _, limit in ipairs(limits) do
    local a, b, c, d = string.byte(limit, 1, 4)
    if not gone[string.format('%.0f', ((a * 256 + b) * 256 + c) * 256 + d)] then kept[#kept + 1] = limit end
  end
  if #kept < #limits then
    redis.call('DEL', KEYS[4])
    for _, limit in ipairs(kept) do redis.call('RPUSH', KEYS[4], limit) end
  end
  -- A worker's project comes after its incarnation, which has 16 bytes.
  for _, worker in ipairs(redis.call('SMEMBERS', KEYS[6])) do
    if string.sub(worker, 17) == project then redis.call('SREM', KEYS[6], worker) end
  end
end
if rows > 0 then redis.call('HSET', KEYS[1], 'audit_end', string.format('%.0f', tonumber(from) + rows)) end
for row = 0, rows - 1 do redis.call('HSET', KEYS[5], string.format('%.0f', tonumber(from) + row), take()) end
add_keys(first, KEYS[2], KEYS[3])
for _ = 1, tonumber(take()) do redis.call('RPUSH', KEYS[4], take()) end
for i = 7, #KEYS do
  local name, is_there, bytes = take(), take(), take()
  if is_there == '1' then redis.call('HSET', KEYS[i], name, bytes) else redis.call('HDEL', KEYS[i], name) end
end
return 1
