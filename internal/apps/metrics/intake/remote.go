package intake

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/s2"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
)

// The two messages of remote write, as Content-Type names them.
const (
	mediaProto = "application/x-protobuf"
	message1   = "prometheus.WriteRequest"
	message2   = "io.prometheus.write.v2.Request"
)

// buffer is the memory of one request, used again by the next.
type buffer struct{ packed, plain []byte }

// keep is the largest memory that is kept for the next request.
const keep = 4 << 20

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func (b *buffer) release() {
	if cap(b.packed) <= keep && cap(b.plain) <= keep {
		buffers.Put(b)
	}
}

// RemoteWrite takes a remote write request, 1.0 or 2.0. What is valid is stored even when something else in the request is
// not; then the answer is 400 and says what, and the sender does not send it again.
func (in *Intake) RemoteWrite(w http.ResponseWriter, r *http.Request) error {
	actor, err := in.key(r)
	if err != nil {
		return err
	}
	version, unsupported := remoteMessage(r.Header)
	if unsupported != "" {
		return unsupportedMedia(w, r, unsupported)
	}
	mem := buffers.Get().(*buffer)
	defer mem.release()
	message, free, err := in.unpack(r, mem)
	if err != nil {
		return err
	}
	defer free()
	b, err := in.storeRemote(r, actor.WorkspaceID, version, message)
	if err != nil {
		return in.retry(r, err)
	}
	answerRemote(w, version, b)
	return nil
}

// storeRemote stores a message in one transaction.
func (in *Intake) storeRemote(r *http.Request, ws kernel.WorkspaceID, version int, message []byte) (*batch, error) {
	b, err := in.begin(r.Context(), ws)
	if err != nil {
		return nil, err
	}
	write := b.write1
	if version == 2 {
		write = b.write2
	}
	if err := write(message); err != nil {
		b.undo()
		if errors.Is(err, errProto) {
			return nil, kernel.Wrap(err, kernel.Malformed, "The body is not the protobuf message that its Content-Type names.")
		}
		return nil, err
	}
	if err := b.end(); err != nil {
		return nil, err
	}
	in.count(ws, "remote_write_"+strconv.Itoa(version), b.Counts)
	return b, nil
}

// remoteMessage is which version of the protocol a request speaks, or why it is none that is known. It is looked at before
// the body is: a body of another kind must not be taken for a damaged one.
func remoteMessage(h http.Header) (version int, unsupported string) {
	if e := h.Get("Content-Encoding"); e != "" && e != "snappy" {
		return 0, fmt.Sprintf("The Content-Encoding %.40q is not known here. Send snappy (block format).", e)
	}
	content := h.Get("Content-Type")
	if content == "" {
		return 1, ""
	}
	media, params, err := mime.ParseMediaType(content)
	if err != nil || media != mediaProto {
		return 0, fmt.Sprintf("The Content-Type %.80q is not known here. Send %s.", content, mediaProto)
	}
	switch params["proto"] {
	case "", message1:
		return 1, ""
	case message2:
		return 2, ""
	}
	return 0, fmt.Sprintf("The message %.80q is not known here. Send %s or %s.", params["proto"], message1, message2)
}

func unsupportedMedia(w http.ResponseWriter, r *http.Request, why string) error {
	_, _ = io.Copy(io.Discard, r.Body) // a client that is still sending would not see the answer; MaxBody bounds it
	return respond.Text(w, http.StatusUnsupportedMediaType, why+"\n")
}

// unpack reads the body and decompresses it. free gives back the place that it takes.
func (in *Intake) unpack(r *http.Request, mem *buffer) (message []byte, free func(), err error) {
	if mem.packed, err = readAll(r.Body, mem.packed[:0], r.ContentLength); err != nil {
		return nil, nil, unreadable(err)
	}
	size, err := s2.DecodedLen(mem.packed)
	if err != nil {
		return nil, nil, kernel.Wrap(err, kernel.Malformed, "The body is not in snappy block format.")
	}
	if size > maxDecoded {
		return nil, nil, tooLarge()
	}
	if err := in.memory.Acquire(r.Context(), int64(size)); err != nil {
		return nil, nil, err
	}
	free = func() { in.memory.Release(int64(size)) }
	if cap(mem.plain) < size {
		mem.plain = make([]byte, size)
	}
	message, err = s2.Decode(mem.plain[:cap(mem.plain)], mem.packed)
	if err != nil {
		free()
		return nil, nil, kernel.Wrap(err, kernel.Malformed, "The body is not in snappy block format.")
	}
	return message, free, nil
}

func tooLarge() error {
	return kernel.Errorf(kernel.TooLarge, "The request is over %d MiB. Send smaller ones.", maxDecoded>>20)
}

func unreadable(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err // the Mux knows this one
	}
	return kernel.Wrap(err, kernel.Malformed, "The body could not be read to its end.")
}

func readAll(r io.Reader, into []byte, length int64) ([]byte, error) {
	if length > 0 && length <= MaxBody && int64(cap(into)) <= length {
		into = make([]byte, 0, length+1)
	}
	for {
		if len(into) == cap(into) {
			into = append(into, 0)[:len(into)]
		}
		n, err := r.Read(into[len(into):cap(into)])
		into = into[:len(into)+n]
		if err == io.EOF {
			return into, nil
		}
		if err != nil {
			return into, err
		}
	}
}

// answerRemote says what was stored. The headers are 2.0's; senders of 1.0 do not know them.
func answerRemote(w http.ResponseWriter, version int, b *batch) {
	if version == 2 {
		h := w.Header()
		h.Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(b.Samples))
		h.Set("X-Prometheus-Remote-Write-Histograms-Written", strconv.Itoa(b.Histograms))
		h.Set("X-Prometheus-Remote-Write-Exemplars-Written", strconv.Itoa(b.Exemplars))
	}
	if len(b.problems) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	_ = respond.Text(w, http.StatusBadRequest, strings.TrimSpace(b.problem())+"\n") // a client that left
}
