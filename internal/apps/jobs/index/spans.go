package index

// Merge adds the spans that another histogram counted, for figures over several queues.
func (s *Spans) Merge(o *Spans) {
	if s.buckets == nil {
		s.buckets = make(map[uint16]int, len(o.buckets))
	}
	for b, n := range o.buckets {
		s.buckets[b] += n
	}
	s.Count += o.Count
}
