package httpx

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// Limit is a token bucket: Burst requests at once, PerSecond on average.
type Limit struct {
	PerSecond float64
	Burst     float64
}

// DefaultRates are the limits per address or key. They stop a machine that guesses or floods, and let an office behind
// one address work.
func DefaultRates() map[RateClass]Limit {
	return map[RateClass]Limit{
		RatePage:   {PerSecond: 50, Burst: 300},
		RateWrite:  {PerSecond: 10, Burst: 60},
		RateAuth:   {PerSecond: 0.5, Burst: 20},
		RateMail:   {PerSecond: 1.0 / 60, Burst: 5},
		RateIngest: {PerSecond: 10_000, Burst: 20_000},
		RateLive:   {PerSecond: 5, Burst: 60},
	}
}

const (
	limiterShards  = 16
	bucketsInShard = 8192 // 16 shards of these are about 12 MB when an attacker fills them
)

// Limiter counts requests per class and address or key, in the memory of this process. Its memory is bounded.
type Limiter struct {
	rates  map[RateClass]Limit
	clock  kernel.Clock
	seed   maphash.Seed
	shards [limiterShards]limiterShard
}

type limiterShard struct {
	mu      sync.Mutex
	buckets map[bucketKey]bucket
}

type bucketKey struct {
	class RateClass
	addr  netip.Addr
	key   string
}

type bucket struct {
	tokens float64
	at     time.Time
}

// NewLimiter makes a Limiter. Classes that rates leaves out have their default.
func NewLimiter(rates map[RateClass]Limit, clock kernel.Clock) *Limiter {
	l := &Limiter{rates: DefaultRates(), clock: clock, seed: maphash.MakeSeed()}
	for class, limit := range rates {
		l.rates[class] = limit
	}
	if l.clock == nil {
		l.clock = kernel.SystemClock
	}
	for i := range l.shards {
		l.shards[i].buckets = map[bucketKey]bucket{}
	}
	return l
}

// TakeAddr counts one request of an address. An IPv6 client owns a /64, so that is what is counted.
func (l *Limiter) TakeAddr(class RateClass, a netip.Addr) error {
	if a.Is6() {
		p, _ := a.Prefix(64) // 64 bits always fit
		a = p.Addr()
	}
	return l.take(bucketKey{class: class, addr: a})
}

// TakeKey counts one request of a key or of anything else that has a name, such as an e-mail address that is being
// signed in to.
func (l *Limiter) TakeKey(class RateClass, key kernel.ID) error {
	return l.take(bucketKey{class: class, key: string(key)})
}

func (l *Limiter) take(k bucketKey) error {
	limit, ok := l.rates[k.class]
	if !ok || limit.PerSecond <= 0 {
		return nil
	}
	s := &l.shards[maphash.Comparable(l.seed, k)%limiterShards]
	now := l.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	b, known := s.buckets[k]
	if !known {
		s.makeRoom(l.rates, now)
		b = bucket{tokens: limit.Burst, at: now}
	}
	b = b.refilled(limit, now)
	if b.tokens < 1 {
		s.buckets[k] = b
		wait := time.Duration((1 - b.tokens) / limit.PerSecond * float64(time.Second))
		return &kernel.Error{Code: kernel.Limited, Safe: "Too many requests. Wait a moment and try again.", RetryAfter: wait}
	}
	b.tokens--
	s.buckets[k] = b
	return nil
}

func (b bucket) refilled(limit Limit, now time.Time) bucket {
	if elapsed := now.Sub(b.at); elapsed > 0 {
		b.tokens = min(limit.Burst, b.tokens+elapsed.Seconds()*limit.PerSecond)
	}
	b.at = now
	return b
}

// makeRoom keeps a shard within its bound: first go the buckets that are full again, which say nothing, and if that is
// not enough any will do, for then somebody is filling the table on purpose.
func (s *limiterShard) makeRoom(rates map[RateClass]Limit, now time.Time) {
	if len(s.buckets) < bucketsInShard {
		return
	}
	for k, b := range s.buckets {
		if limit := rates[k.class]; b.refilled(limit, now).tokens >= limit.Burst {
			delete(s.buckets, k)
		}
	}
	for k := range s.buckets {
		if len(s.buckets) < bucketsInShard*3/4 {
			return
		}
		delete(s.buckets, k)
	}
}
