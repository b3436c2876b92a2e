package jobs

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/wire/jobviz"
)

func TestServedWithoutRedirect(t *testing.T) {
	t.Parallel()
	s := serve(t, dbtest.Open(t, dbtest.SQLite(t)))
	for _, path := range []string{"/api/v1/events", "//api/v1/events", "/some/prefix/api/v1/events", "/api/v1/events/"} {
		for _, accept := range []string{"", "*/*", "text/html", "application/json"} {
			a := s.do(t, "POST", path, []byte(vectors), "Accept", accept)
			if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") || !bytes.Contains(a.body, []byte(`"accepted":8`)) {
				t.Errorf("%s, Accept %q: %v", path, accept, a)
			}
		}
	}
}

// badInputs are bodies that must not be taken, or not whole, and what the answer must say.
func badInputs(t *testing.T) map[string]badInput {
	one := func(event string) []byte { return []byte(`{"events":[` + event + `]}`) }
	return map[string]badInput{
		"broken JSON":       {[]byte(`{"events":[{"jobId":`), nil, 400, "cannot be read"},
		"no events":         {[]byte(`{}`), nil, 400, "events"},
		"empty":             {nil, nil, 400, "cannot be read"},
		"a NUL":             {[]byte("{\"events\":[{\"jobId\":\"a\x00\"}]}"), nil, 400, "control character"},
		"an escaped NUL":    {one(`{"jobId":"a\u0000","event":"active","timestamp":1772000000000}`), nil, 200, "NUL"},
		"no key":            {[]byte(vectors), []string{"Authorization", ""}, 401, "API key"},
		"wrong key":         {[]byte(vectors), []string{"Authorization", "Bearer nonsense123"}, 401, "API key"},
		"key without scope": {[]byte(vectors), []string{"Authorization", "Bearer kept_read_only_key"}, 403, "scope ingest"},
		"gzip bomb":         {bomb(t, gzipWriter, 200), []string{"Content-Encoding", "gzip"}, 413, "smaller batches"},
		"not gzip":          {[]byte(vectors), []string{"Content-Encoding", "gzip"}, 400, "Content-Encoding"},
		"unknown encoding":  {[]byte(vectors), []string{"Content-Encoding", "br"}, 400, "Content-Encoding"},
		"100 levels":        {one(`{"jobId":"1","event":"active","timestamp":1772000000000,"data":{"input":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}}`), nil, 200, "nested deeper"},
		"a million levels":  {one(`{"jobId":"1","event":"active","timestamp":1772000000000,"data":` + strings.Repeat("[", 1<<20)), nil, 400, "nested"},
		"10 MB id":          {one(`{"jobId":"` + strings.Repeat("x", 10<<20) + `","event":"active","timestamp":1772000000000}`), nil, 200, "over the limit"},
		"10 MB payload":     {one(`{"jobId":"1","event":"active","timestamp":1772000000000,"data":{"input":{"a":"` + strings.Repeat("x", 10<<20) + `"}}}`), nil, 200, "over the limit"},
		"too large":         {bytes.Repeat([]byte(" "), jobviz.MaxBody+1), nil, 413, "smaller batches"},
	}
}

type badInput struct {
	body   []byte
	header []string
	status int
	want   string
}

// bomb is a body of some kilobytes that unfolds to so many MiB. A gzip file is a row of members (RFC 1952, 2.2) and a
// zstd file one of frames, so one is compressed and then repeated.
func bomb(t *testing.T, writer func(io.Writer) io.WriteCloser, mib int) []byte {
	t.Helper()
	var member bytes.Buffer
	w := writer(&member)
	w.Write(bytes.Repeat([]byte(" "), 1<<20))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.Repeat(member.Bytes(), mib)
}

func gzipWriter(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }

func TestABombIsNotUnfolded(t *testing.T) {
	t.Parallel()
	for encoding, writer := range map[string]func(io.Writer) io.WriteCloser{
		"gzip": gzipWriter,
		"zstd": func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z },
	} {
		body := bomb(t, writer, 1000)
		unread := bytes.NewReader(body)
		r := httptest.NewRequest("POST", "/api/v1/events", unread)
		r.Header.Set("Content-Encoding", encoding)
		if _, err := readBody(r, nil); kernel.CodeOf(err) != kernel.TooLarge || unread.Len() < len(body)/2 {
			t.Errorf("%s: %v with %d of %d bytes unread", encoding, err, unread.Len(), len(body))
		}
	}
}

func TestBadInputGetsAClearError(t *testing.T) {
	t.Parallel()
	inputs := badInputs(t)
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := serve(t, d)
		for name, c := range inputs {
			a := s.do(t, "POST", "/api/v1/events", c.body, c.header...)
			if a.status != c.status || !json.Valid(a.body) || !bytes.Contains(a.body, []byte(c.want)) {
				t.Errorf("%s: %.300v", name, a)
			}
		}
		if got := s.post(t, vectors); got.Accepted != 8 {
			t.Errorf("afterwards: %+v", got)
		}
	})
}

func TestOneBadEventAmongGoodOnes(t *testing.T) {
	t.Parallel()
	s := serve(t, dbtest.Open(t, dbtest.SQLite(t)))
	got := s.post(t, `{"events":[{"jobId":"1","queue":"q","event":"active","timestamp":1772000000000},{"jobId":"2"},{"jobId":"3","queue":"q","event":"active","timestamp":1772000000000}]}`)
	if got.Accepted != 2 || got.Rejected != 1 || len(got.Errors) != 1 || got.Errors[0].Index != 1 {
		t.Errorf("%+v", got)
	}
}

func TestLargeLegalBatch(t *testing.T) {
	t.Parallel()
	s := serve(t, dbtest.Open(t, dbtest.SQLite(t)))
	var b strings.Builder
	b.WriteString(`{"events":[`)
	for i := range 500 { // 15 MiB of three-byte characters, as the Node agent may send
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"jobId":"%d","jobName":"漢字","queue":"q","event":"active","timestamp":1772000000000,"data":{"input":{"text":"%s"}}}`, i, strings.Repeat("漢", 10_000))
	}
	b.WriteString(`]}`)
	if got := s.post(t, b.String()); got.Accepted != 500 {
		t.Errorf("%+v", got)
	}
	if got := len(s.list(t, "q=漢漢&limit=500").Jobs); got != 500 {
		t.Errorf("found %d", got)
	}
}
