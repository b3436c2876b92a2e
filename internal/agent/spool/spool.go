// Package spool keeps what is to be sent on disk until it was sent, oldest first. It is a row of append-only files: it
// survives a killed process and a write that was cut short, and it is bounded in bytes and in age. Where the disk cannot
// be written, the last few megabytes are kept in memory, because a host with a full disk is one that people look at.
package spool

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Record is what is kept: an encoded request and when its samples are of, in milliseconds since 1970.
type Record struct {
	Time    int64
	Samples int
	Payload []byte
}

// Options of a spool.
type Options struct {
	MaxBytes int64         // of all files; what is oldest goes first
	MaxAge   time.Duration // older records are not sent any more
	Log      *slog.Logger
}

const (
	segmentBytes = 1 << 20 // a file is closed at this size
	memoryBytes  = 2 << 20 // kept in memory while the disk refuses
	suffix       = ".seg"
)

// Spool is safe for one writer and one reader at once.
type Spool struct {
	dir  string
	opts Options

	mu       sync.Mutex
	segments []*segment // oldest first; the last one is written to
	file     *os.File   // the last one, for appending; nil before the first record
	reading  *os.File   // the first one
	offset   int64      // in the first one: what is before it was sent
	peeked   int64      // length of the record that Next returned last; 0 for none
	peekedIn *segment   // nil when it was in memory
	memory   []Record   // newer than all on disk
	memSize  int
	last     int64 // the newest time ever seen
	lastSync time.Time
	failing  bool
	position *position
	news     chan struct{}
}

type segment struct {
	seq  uint64
	size int64 // up to the end of its last whole record
}

func (s *segment) name() string { return fmt.Sprintf("%016x%s", s.seq, suffix) }

// Open opens the spool of a folder, which it creates. Only one process may have it open.
func Open(dir string, opts Options) (*Spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &Spool{dir: dir, opts: opts, news: make(chan struct{}, 1), lastSync: time.Now()}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if len(s.segments) > 0 {
		s.signal()
	}
	return s, nil
}

// load finds the segments and where reading stopped, and cuts off a record that was not written whole.
func (s *Spool) load() (err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if one := parseName(e.Name()); one != nil {
			s.segments = append(s.segments, one)
		}
	}
	slices.SortFunc(s.segments, func(a, b *segment) int { return int(int64(a.seq) - int64(b.seq)) })
	if s.position, err = openPosition(filepath.Join(s.dir, "position")); err != nil {
		return err
	}
	at := s.position.value
	s.last = at.last
	for len(s.segments) > 0 && s.segments[0].seq < at.seq {
		if err := s.dropFirst(); err != nil {
			return err
		}
	}
	if len(s.segments) == 0 {
		return nil
	}
	if s.segments[0].seq == at.seq {
		s.offset = at.offset
	}
	return s.measure()
}

func parseName(name string) *segment {
	hex, ok := strings.CutSuffix(name, suffix)
	var one segment
	if !ok || len(hex) != 16 {
		return nil
	}
	if _, err := fmt.Sscanf(hex, "%016x", &one.seq); err != nil {
		return nil
	}
	return &one
}

// measure reads the sizes of the segments. The last one is read as a whole, for the time of its last record and for what
// may be torn at its end; the others were closed in good order and are checked as they are sent.
func (s *Spool) measure() error {
	for i, one := range s.segments {
		path := filepath.Join(s.dir, one.name())
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		one.size = info.Size()
		if i < len(s.segments)-1 {
			continue
		}
		whole, last, err := wholeLength(path)
		if err != nil {
			return err
		}
		if whole < one.size {
			s.opts.Log.Warn("the buffer ended within a record, which is left out", "file", one.name(), "bytes", one.size-whole)
			if err := os.Truncate(path, whole); err != nil {
				return err
			}
		}
		one.size, s.last = whole, max(s.last, last)
	}
	if first := s.segments[0]; s.offset > first.size {
		// A power failure took what had been sent. New records must not be mistaken for it.
		s.offset = first.size
		return s.position.set(place{seq: first.seq, offset: s.offset, last: s.last})
	}
	return nil
}

// Last is the newest time of all records ever appended, 0 if there was none.
func (s *Spool) Last() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// News has a value when there may be something to read.
func (s *Spool) News() <-chan struct{} { return s.news }

func (s *Spool) signal() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// Append keeps a record. It does not fail: what the disk refuses is kept in memory for as long as it fits.
func (s *Spool) Append(r Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last, r.Time)
	defer s.signal()
	s.memory = append(s.memory, r)
	s.memSize += len(r.Payload)
	err := s.flush()
	switch {
	case err == nil && s.failing:
		s.opts.Log.Info("the buffer is on disk again")
	case err != nil && !s.failing:
		s.opts.Log.Error("the buffer cannot be written: the last measurements are kept in memory only", "folder", s.dir, "error", err)
	}
	s.failing = err != nil
	if n := len(s.memory); n > 0 {
		s.memory[n-1].Payload = slices.Clone(r.Payload)
	}
	for s.memSize > memoryBytes && len(s.memory) > 1 {
		s.dropMemory()
	}
}

// flush writes what is in memory to disk, oldest first. One that is being sent stays where it is until it was.
func (s *Spool) flush() error {
	for len(s.memory) > 0 && (s.peeked == 0 || s.peekedIn != nil) {
		if err := s.write(s.memory[0]); err != nil {
			return err
		}
		s.dropMemory()
	}
	return nil
}

func (s *Spool) dropMemory() {
	s.memSize -= len(s.memory[0].Payload)
	s.memory = slices.Delete(s.memory, 0, 1)
	if s.peekedIn == nil {
		s.peeked = 0
	}
}

func (s *Spool) write(r Record) error {
	if err := s.room(); err != nil {
		return err
	}
	one := s.segments[len(s.segments)-1]
	b := encode(r)
	if _, err := s.file.WriteAt(b, one.size); err != nil {
		return errors.Join(err, s.file.Truncate(one.size))
	}
	one.size += int64(len(b))
	return s.sync(false)
}

// room makes the last segment one that has room.
func (s *Spool) room() error {
	n := len(s.segments)
	if n > 0 && s.segments[n-1].size < segmentBytes {
		if s.file != nil {
			return nil
		}
		f, err := os.OpenFile(filepath.Join(s.dir, s.segments[n-1].name()), os.O_RDWR, 0o600)
		s.file = f
		return err
	}
	next := &segment{seq: s.position.value.seq + 1}
	if n > 0 {
		next.seq = s.segments[n-1].seq + 1
	}
	f, err := os.OpenFile(filepath.Join(s.dir, next.name()), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if s.file != nil {
		err = errors.Join(s.sync(true), s.file.Close())
	}
	s.file = f
	s.segments = append(s.segments, next)
	return errors.Join(err, s.shrink())
}

// shrink removes the oldest segments while all together are too large.
func (s *Spool) shrink() error {
	for len(s.segments) > 1 && s.size() > s.opts.MaxBytes {
		s.opts.Log.Warn("the buffer is full: the oldest measurements are lost", "bytes", s.segments[0].size-s.offset, "limit", s.opts.MaxBytes)
		if err := s.dropFirst(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Spool) size() (sum int64) {
	for _, one := range s.segments {
		sum += one.size
	}
	return sum
}

// dropFirst removes the oldest segment.
func (s *Spool) dropFirst() error {
	first := s.segments[0]
	if s.reading != nil {
		s.reading.Close()
		s.reading = nil
	}
	if s.peekedIn == first {
		s.peeked = 0
	}
	s.segments, s.offset = s.segments[1:], 0
	if err := os.Remove(filepath.Join(s.dir, first.name())); err != nil {
		s.opts.Log.Warn("a file of the buffer cannot be removed", "error", err)
		return s.position.set(place{seq: first.seq + 1, last: s.last}) // so that a restart does not send it again
	}
	return nil
}

// sync makes sure now and then that a power failure costs little; a killed process costs nothing anyway.
func (s *Spool) sync(now bool) error {
	if !now && time.Since(s.lastSync) < time.Minute {
		return nil
	}
	s.lastSync = time.Now()
	return s.file.Sync()
}

// Close closes the files.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	if s.file != nil {
		errs = append(errs, s.file.Close())
	}
	if s.reading != nil {
		errs = append(errs, s.reading.Close())
	}
	if s.position != nil {
		errs = append(errs, s.position.file.Close())
	}
	s.file, s.reading, s.position = nil, nil, nil
	return errors.Join(errs...)
}

// Oldest is the time of the record that is next, and whether there is one.
func (s *Spool) Oldest() (int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	peeked, in := s.peeked, s.peekedIn
	r, err := s.peek()
	s.peeked, s.peekedIn = peeked, in
	return r.Time, err == nil
}

// Next returns the oldest record that was not Done, or io.EOF. Its payload is valid until Done. What is older than the
// limit or cannot be read is passed over.
func (s *Spool) Next() (Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		r, err := s.peek()
		if err != nil || !s.tooOld(r) {
			return r, err
		}
		if err := s.pass(); err != nil {
			return Record{}, err
		}
	}
}

func (s *Spool) tooOld(r Record) bool {
	old := s.opts.MaxAge > 0 && r.Time < time.Now().Add(-s.opts.MaxAge).UnixMilli()
	if old {
		s.opts.Log.Warn("measurements are too old to be sent and are lost", "of", time.UnixMilli(r.Time).UTC(), "limit", s.opts.MaxAge)
	}
	return old
}

func (s *Spool) peek() (Record, error) {
	for len(s.segments) > 0 {
		first := s.segments[0]
		if s.offset >= first.size {
			if len(s.segments) == 1 {
				break // it is the one that is written to
			}
			if err := s.dropFirst(); err != nil {
				return Record{}, err
			}
			continue
		}
		r, n, err := s.readAt(first)
		if err == nil {
			s.peeked, s.peekedIn = n, first
			return r, nil
		}
		s.opts.Log.Error("a part of the buffer cannot be read and is lost", "file", first.name(), "bytes", first.size-s.offset, "error", err)
		s.offset = first.size
	}
	if len(s.memory) > 0 {
		s.peeked, s.peekedIn = 1, nil
		return s.memory[0], nil
	}
	return Record{}, io.EOF
}

func (s *Spool) readAt(first *segment) (Record, int64, error) {
	if s.reading == nil {
		f, err := os.Open(filepath.Join(s.dir, first.name()))
		if err != nil {
			return Record{}, 0, err
		}
		s.reading = f
	}
	return decode(io.NewSectionReader(s.reading, s.offset, first.size-s.offset))
}

// Done says that the record which Next returned last need not be kept.
func (s *Spool) Done() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pass()
}

func (s *Spool) pass() error {
	switch {
	case s.peeked == 0: // it was dropped in the meantime, for want of room
		return nil
	case s.peekedIn == nil:
		s.dropMemory()
		return nil
	}
	s.offset += s.peeked
	s.peeked = 0
	first := s.segments[0]
	return s.position.set(place{seq: first.seq, offset: s.offset, last: s.last})
}
