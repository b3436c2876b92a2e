package eventlog

import "strings"

// JobSet is the jobs that a search is confined to, as often as they were added. It is not safe for concurrent use.
type JobSet struct {
	jobs    map[string]*soughtJob
	scratch []byte
}

type soughtJob struct {
	count int
	words []uint64 // hashes of the words of its id
}

// NewJobSet makes an empty set.
func NewJobSet() *JobSet { return &JobSet{jobs: map[string]*soughtJob{}} }

// Add puts a job into the set. Its key is its queue, NUL and its id.
func (s *JobSet) Add(key string) {
	j := s.jobs[key]
	if j == nil {
		_, id, _ := strings.Cut(key, "\x00")
		j = &soughtJob{words: wordHashes([]byte(id))}
		s.jobs[key] = j
	}
	j.count++
}

// Remove takes back one Add.
func (s *JobSet) Remove(key string) {
	if j := s.jobs[key]; j != nil {
		if j.count--; j.count == 0 {
			delete(s.jobs, key)
		}
	}
}

// Len is how many jobs there are.
func (s *JobSet) Len() int { return len(s.jobs) }

func (s *JobSet) has(queue, id []byte) bool {
	s.scratch = append(append(append(s.scratch[:0], queue...), 0), id...)
	return s.jobs[string(s.scratch)] != nil
}

// fewJobs is up to how many ids it is cheaper to ask a block's filter for than to look: about one answer in a thousand
// is wrong.
const fewJobs = 500

// few tells whether it pays to ask filters.
func (s *JobSet) few() bool { return s != nil && len(s.jobs) <= fewJobs }

// mayBeIn tells whether a filter's block may have an event of any of the jobs.
func (s *JobSet) mayBeIn(filter []byte) bool {
	for _, j := range s.jobs {
		if mayHold(filter, j.words) {
			return true
		}
	}
	return false
}
