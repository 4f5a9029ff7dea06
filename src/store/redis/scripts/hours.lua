-- What the steps on the hours of projects share. KEYS[1..] are the marks of projects: the fence of the last writer, and
-- whose the history is. ARGV[1] fence of the writer, ARGV[2] how many projects, ARGV[3..] the owner of each.
local projects = tonumber(ARGV[2])
for i = 1, projects do
  local fence, owner = string.match(redis.call('GET', KEYS[i]) or '', '^(%d+) (.+)$')
  if owner ~= ARGV[2 + i] then return redis.error_reply('HWFOREIGN ' .. KEYS[i]) end
  if tonumber(fence) > tonumber(ARGV[1]) then
    return redis.error_reply('HWFENCED another highwater writes it now')
  end
  if fence ~= ARGV[1] then redis.call('SET', KEYS[i], ARGV[1] .. ' ' .. owner) end
end
local at = 3 + projects
local function take()
  at = at + 1
  return ARGV[at - 1]
end
-- The first byte of a record's bytes, and the first of the record after it.
local function span(blob, record)
  local size, scale, byte_at = 0, 1, record + 1
  while true do
    local byte = string.byte(blob, byte_at)
    size = size + (byte % 128) * scale
    byte_at = byte_at + 1
    if byte < 128 then return byte_at, byte_at + size end
    scale = scale * 128
  end
end
