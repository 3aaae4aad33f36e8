package rediscache

// replaceScript writes each value unless what stands there has the same or a
// newer stamp. What no stamp begins is replaced, and so is the very value that a
// look-up saw before it asked the store.
//
//	KEYS                     where
//	ARGV[1]                  expiry in milliseconds
//	ARGV[2i], ARGV[2i+1]     value for KEYS[i], and the header that was seen there, or ""
//
// 81 is headerLen and 5 is format; a test holds them together.
const replaceScript = `
for i, key in ipairs(KEYS) do
  local new, seen = ARGV[2*i], ARGV[2*i+1]
  local old = redis.pcall('GETRANGE', key, 0, 80)
  local keep = type(old) == 'string' and #old == 81 and string.find(old, '^5%d+$')
    and old ~= seen and old >= string.sub(new, 1, 81)
  if not keep then
    redis.call('SET', key, new, 'PX', ARGV[1])
  end
end
return redis.status_reply('OK')
`
