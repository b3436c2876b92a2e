package index

// known answers "may a segment have this job?" for all segments of a shard at once, at the cost of one line of memory:
// most events are of jobs that are new, and asking each segment would cost one line each. It is a Bloom filter over the
// segments' hashes with one 64-bit word per hash; it never forgets, and is made anew when it has become too full.
type known struct {
	words []uint64
	count int
}

// perWord is how many hashes a word takes before the filter is made larger; with four bits each, about one look-up in a
// hundred then asks the segments in vain.
const perWord = 4

// bitsOf spreads a hash over four bits of a word.
func bitsOf(hash uint32) uint64 {
	h := uint64(hash) * 0x9E3779B97F4A7C15
	return 1<<(h>>58) | 1<<(h>>52&63) | 1<<(h>>46&63) | 1<<(h>>40&63)
}

func (k *known) word(hash uint32) *uint64 {
	h := uint64(hash*0x85EBCA6B) * uint64(len(k.words))
	return &k.words[h>>32]
}

func (k *known) has(key uint64) bool {
	hash := uint32(key >> 32)
	return len(k.words) > 0 && *k.word(hash)&bitsOf(hash) == bitsOf(hash)
}

// add takes in a segment that joins others.
func (k *known) add(seg *segment, segments []*segment) {
	if k.count += seg.jobs(); k.count > perWord*len(k.words) {
		k.rebuild(segments)
		return
	}
	for _, h := range seg.hashes {
		*k.word(h) |= bitsOf(h)
	}
}

// rebuild makes the filter for these segments, with room for as many jobs again.
func (k *known) rebuild(segments []*segment) {
	k.count = 0
	for _, seg := range segments {
		k.count += seg.jobs()
	}
	k.words = make([]uint64, max(1024, 2*k.count/perWord))
	for _, seg := range segments {
		for _, h := range seg.hashes {
			*k.word(h) |= bitsOf(h)
		}
	}
}
