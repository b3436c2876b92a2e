package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"
)

// Box seals short texts with the key of a workspace; *seal.Box is one.
type Box interface {
	Seal(plain, aad []byte) ([]byte, error)
	Open(sealed, aad []byte) ([]byte, error)
}

// ErrSealed says that a blob was altered, cut off, stored under another name or sealed with another key. A reader may
// have handed out the parts before the damage, each of which is genuine.
var ErrSealed = errors.New("blob: the sealed blob cannot be opened")

// Sealed encrypts what it stores. Names stay in clear; sizes are those of the content. Compress before.
//
// A sealed blob is a header of 128 bytes, which holds a key of its own sealed in the box and bound to the name, and
// behind it Tink's streaming AES256-GCM-HKDF in segments of 64 KiB. Tink reads streams from their beginning only, so
// GetRange decrypts and drops what comes before the range: keep blobs that are read in parts small.
func Sealed(s Store, box Box) Store { return sealed{s, box} }

type sealed struct {
	store Store
	box   Box
}

const (
	sealedMagic   = "KBS1"
	sealedHeader  = 128
	sealedKeyLen  = 32
	segmentSize   = 64 << 10 // of ciphertext, tag included
	streamHeader  = 1 + sealedKeyLen + subtle.AESGCMHKDFNoncePrefixSizeInBytes
	segmentTag    = subtle.AESGCMHKDFTagSizeInBytes
	sealedKeyRoom = sealedHeader - len(sealedMagic) - 2
)

func newStream(key []byte) (*subtle.AESGCMHKDF, error) {
	return subtle.NewAESGCMHKDF(key, "SHA256", sealedKeyLen, segmentSize, 0)
}

func (s sealed) Put(ctx context.Context, name string, r io.Reader) error {
	key := make([]byte, sealedKeyLen)
	rand.Read(key)
	header, err := s.header(name, key)
	if err != nil {
		return err
	}
	stream, err := newStream(key)
	if err != nil {
		return fmt.Errorf("blob: %w", err)
	}
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pw.CloseWithError(encrypt(pw, stream, name, r))
	}()
	err = s.store.Put(ctx, name, io.MultiReader(bytes.NewReader(header), pr))
	pr.CloseWithError(io.ErrClosedPipe) // a store that stopped early must not leave the writer waiting
	<-done                              // r must not be read after Put returned
	return err
}

func encrypt(w io.Writer, stream *subtle.AESGCMHKDF, name string, r io.Reader) error {
	enc, err := stream.NewEncryptingWriter(w, []byte(name))
	if err != nil {
		return err
	}
	if _, err := io.Copy(enc, r); err != nil {
		return err
	}
	return enc.Close()
}

func (s sealed) header(name string, key []byte) ([]byte, error) {
	sealedKey, err := s.box.Seal(key, keyAAD(name))
	if err != nil {
		return nil, err
	}
	if len(sealedKey) > sealedKeyRoom {
		return nil, fmt.Errorf("blob: a sealed key takes %d bytes, and there is room for %d", len(sealedKey), sealedKeyRoom)
	}
	header := make([]byte, sealedHeader)
	copy(header, sealedMagic)
	binary.BigEndian.PutUint16(header[len(sealedMagic):], uint16(len(sealedKey)))
	copy(header[len(sealedMagic)+2:], sealedKey)
	return header, nil
}

func keyAAD(name string) []byte { return []byte("blob key " + name) }

func (s sealed) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	raw, err := s.store.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	plain, err := s.decrypting(name, raw)
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return section{plain, raw}, nil
}

func (s sealed) decrypting(name string, raw io.Reader) (io.Reader, error) {
	header := make([]byte, sealedHeader)
	if _, err := io.ReadFull(raw, header); err != nil {
		return nil, sealedError(err)
	}
	n := int(binary.BigEndian.Uint16(header[len(sealedMagic):]))
	if string(header[:len(sealedMagic)]) != sealedMagic || n > sealedKeyRoom {
		return nil, ErrSealed
	}
	key, err := s.box.Open(header[len(sealedMagic)+2:][:n], keyAAD(name))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSealed, err)
	}
	stream, err := newStream(key)
	if err != nil {
		return nil, ErrSealed
	}
	tracked := &trackedReader{r: raw}
	plain, err := stream.NewDecryptingReader(tracked, []byte(name))
	if err != nil {
		return nil, tracked.blame(err)
	}
	return sealedReader{plain, tracked}, nil
}

// trackedReader remembers the store's own error, which Tink's would hide.
type trackedReader struct {
	r   io.Reader
	err error
}

func (t *trackedReader) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if err != nil && err != io.EOF {
		t.err = err
	}
	return n, err
}

func (t *trackedReader) blame(err error) error {
	if t.err != nil {
		return t.err
	}
	return sealedError(err)
}

type sealedReader struct {
	plain   io.Reader
	tracked *trackedReader
}

func (s sealedReader) Read(p []byte) (int, error) {
	n, err := s.plain.Read(p)
	if err != nil && err != io.EOF {
		err = s.tracked.blame(err)
	}
	return n, err
}

func sealedError(err error) error { return fmt.Errorf("%w: %w", ErrSealed, err) }

func (s sealed) GetRange(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := checkRange(off); err != nil {
		return nil, err
	}
	plain, err := s.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, plain, off); err != nil && err != io.EOF {
		return nil, errors.Join(err, plain.Close())
	}
	if n < 0 {
		return plain, nil
	}
	return section{io.LimitReader(plain, n), plain}, nil
}

func (s sealed) Stat(ctx context.Context, name string) (Info, error) {
	info, err := s.store.Stat(ctx, name)
	info.Size = plainSize(info.Size)
	return info, err
}

func (s sealed) Delete(ctx context.Context, name string) error { return s.store.Delete(ctx, name) }

func (s sealed) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		for info, err := range s.store.List(ctx, prefix) {
			info.Size = plainSize(info.Size)
			if !yield(info, err) {
				return
			}
		}
	}
}

// plainSize is the size of the content of a stored size. The stream's header counts as part of its first segment, and
// even an empty stream has one segment, so one tag.
func plainSize(stored int64) int64 {
	stream := stored - sealedHeader
	if stream < streamHeader+segmentTag {
		return 0 // not one of ours; reading it fails
	}
	segments := (stream + segmentSize - 1) / segmentSize
	return stream - streamHeader - segments*segmentTag
}
