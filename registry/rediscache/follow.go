package rediscache

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// followScript reads a reference and the record that it points to, in one go.
//
//	KEYS[1]   the reference
//	ARGV[1]   how much may be read of a value, less one
//	ARGV[2]   what the keys of records begin with
//
// The pointer stands in 64 places after the header, which is 81 long; a test holds them
// together. It leads to a key with the same hash tag. What can't be followed is left to
// the caller.
const followScript = `
local reference = redis.call('GETRANGE', KEYS[1], 0, ARGV[1])
local pointer = string.sub(reference, 82, 145)
if #pointer == 64 and string.find(pointer, '^%x+$') then
  local record = redis.pcall('GETRANGE', ARGV[2] .. pointer, 0, ARGV[1])
  if type(record) == 'string' then
    return {reference, pointer, record}
  end
end
return {reference}
`

// fetch reads what q is about in one round trip, so far as that is possible. What Redis
// refuses to read so is read one by one, which tells why.
func (c *Cache) fetch(ctx context.Context, q *question) {
	got, err := c.follow.Run(ctx, c.client, []string{q.reference}, maxValue, c.keys.users()).StringSlice()
	var reply redis.Error
	switch {
	case err != nil && !errors.As(err, &reply):
		q.failed = err
	case len(got) == 3:
		q.fetched = map[string]string{q.reference: got[0], c.keys.users() + got[1]: got[2]}
	case len(got) == 1:
		q.fetched = map[string]string{q.reference: got[0]}
	}
}

// value returns what stands at key, as GETRANGE does.
func (c *Cache) value(ctx context.Context, q *question, key string) (string, error) {
	if q.failed != nil {
		return "", q.failed
	}
	if value, ok := q.fetched[key]; ok {
		return value, nil
	}
	return c.client.GetRange(ctx, key, 0, maxValue).Result()
}
