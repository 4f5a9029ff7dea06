-- What the steps on the hours of projects share. ARGV[1] fence of the writer, ARGV[2] how many projects: KEYS[1..] are
-- their fences.
local projects = tonumber(ARGV[2])
for i = 1, projects do
  local fence = redis.call('GET', KEYS[i])
  if fence and tonumber(fence) > tonumber(ARGV[1]) then
    return redis.error_reply('HWFENCED another highwater writes it now')
  end
  if fence ~= ARGV[1] then redis.call('SET', KEYS[i], ARGV[1]) end
end
local at = 3
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
