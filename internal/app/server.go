package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/kept-dev/kept/wire/agentapi"
)

// Limits of a connection. A handler that streams lifts them for itself (httpx.Stream).
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 2 * time.Minute // 16 MiB at 140 kB/s
	writeTimeout      = 2 * time.Minute
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// bind takes the port.
func (a *App) bind(ctx context.Context) (err error) {
	var lc net.ListenConfig
	if a.listener, err = lc.Listen(ctx, "tcp", a.cfg.Addr); err != nil {
		return fmt.Errorf("cannot listen on %s (choose another with --addr): %w", a.cfg.Addr, err)
	}
	a.onStop("listener", func(context.Context) error {
		if err := a.listener.Close(); !errors.Is(err, net.ErrClosed) { // the server has closed it already
			return err
		}
		return nil
	})
	return nil
}

// serve answers requests in the background.
func (a *App) serve() error {
	config, err := a.tlsConfig()
	if err != nil {
		return err
	}
	a.server = &http.Server{
		Handler:           a.mux,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		TLSConfig:         config,
		ErrorLog:          slog.NewLogLogger(a.logger.Handler(), slog.LevelDebug), // clients' broken handshakes and the like
	}
	a.onStop("server", a.drain)
	go func() {
		if err := a.accept(); !errors.Is(err, http.ErrServerClosed) {
			a.failed <- fmt.Errorf("the server ended: %w", err)
		}
	}()
	return nil
}

func (a *App) accept() error {
	if a.server.TLSConfig != nil {
		return a.server.ServeTLS(a.listener, "", "")
	}
	return a.server.Serve(a.listener)
}

// drain answers the requests that are there and takes no more. What is not done within the grace is cut off.
func (a *App) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.ShutdownGrace)
	defer cancel()
	a.mux.CloseStreams()
	err := a.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		a.logger.Warn("requests were cut off because the grace was over", "grace", a.cfg.ShutdownGrace.String())
		return a.server.Close()
	}
	return err
}

// tlsConfig is nil without a certificate. It accepts TLS 1.2 and newer (SEC-4).
func (a *App) tlsConfig() (*tls.Config, error) {
	if a.cfg.TLSCert == "" {
		return nil, nil
	}
	certs := &certificate{certFile: a.cfg.TLSCert, keyFile: a.cfg.TLSKey, logger: a.logger}
	if err := certs.load(); err != nil {
		return nil, fmt.Errorf("--tls-cert: %w", err)
	}
	// Agents show certificates that they have made themselves; who they are is looked up by their public key, as with SSH, and
	// TLS makes sure that they have the private one. Naming an authority that nobody has a certificate of keeps browsers from
	// offering their own.
	agents := x509.NewCertPool()
	agents.AddCert(&x509.Certificate{Raw: []byte("kept-agent"), RawSubject: agentSubject()})
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certs.get, ClientAuth: tls.RequestClientCert, ClientCAs: agents}, nil
}

// agentSubject is CN=kept-agent in DER.
func agentSubject() []byte {
	name, err := asn1.Marshal(pkix.Name{CommonName: agentapi.CertificateName}.ToRDNSequence())
	if err != nil {
		panic(err) // a constant
	}
	return name
}
