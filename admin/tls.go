package admin

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// TLSSettings serve the admin server over TLS. The files are read again when they
// change: a renewed certificate needs no restart.
type TLSSettings struct {
	CertFile string `key:"cert_file" doc:"PEM file with the certificate chain of the admin server; empty: no TLS"`
	KeyFile  string `key:"key_file" doc:"PEM file with its key"`

	// ClientCAFile makes certificates of its authorities as good as a token of
	// scope ClientScope. The probes need none.
	ClientCAFile string `key:"client_ca_file" doc:"PEM file with authorities: a client certificate of one of them is as good as a token; default none"`
	ClientScope  Scope  `key:"client_scope" rule:"oneof=read|operate" doc:"scope of clients with a certificate: read or operate; default read"`
}

func (t TLSSettings) validate() error {
	var errs []error
	if (t.CertFile == "") != (t.KeyFile == "") {
		errs = append(errs, errors.New("admin.tls needs both cert_file and key_file, or neither"))
	}
	if t.ClientCAFile != "" && t.CertFile == "" {
		errs = append(errs, errors.New("admin.tls.client_ca_file is set without cert_file and key_file: clients "+
			"show certificates over TLS alone"))
	}
	switch t.ClientScope {
	case "", ScopeRead, ScopeOperate:
	default:
		errs = append(errs, fmt.Errorf("admin.tls.client_scope is %q: want read or operate", t.ClientScope))
	}
	return errors.Join(errs...)
}

// rereadAfter bounds how often the files' times are looked at.
const rereadAfter = time.Second

// tlsFiles keeps the configuration that was read from the files last.
type tlsFiles struct {
	set TLSSettings

	mu     sync.Mutex
	looked time.Time
	times  [3]time.Time // of the files that config was read from
	config *tls.Config
}

// newTLS returns the configuration of the listener, or nil without TLS. It
// fails if the files cannot be used.
func newTLS(set TLSSettings) (*tls.Config, error) {
	if set.CertFile == "" {
		return nil, nil
	}
	f := &tlsFiles{set: set}
	if _, err := f.current(); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return f.current() }}, nil
}

// current returns the configuration, read again if a file has changed. Files
// that cannot be read leave the last good one in force.
func (f *tlsFiles) current() (*tls.Config, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.config != nil && time.Since(f.looked) < rereadAfter {
		return f.config, nil
	}
	f.looked = time.Now()
	var times [3]time.Time
	for i, name := range []string{f.set.CertFile, f.set.KeyFile, f.set.ClientCAFile} {
		if info, err := os.Stat(name); err == nil {
			times[i] = info.ModTime()
		}
	}
	if f.config != nil && times == f.times {
		return f.config, nil
	}
	config, err := f.read()
	if err != nil {
		if f.config != nil {
			return f.config, nil
		}
		return nil, err
	}
	f.config, f.times = config, times
	return config, nil
}

func (f *tlsFiles) read() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(f.set.CertFile, f.set.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("admin.tls: read the certificate %s and the key %s: %w", f.set.CertFile, f.set.KeyFile,
			err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		Certificates: []tls.Certificate{cert}}
	if f.set.ClientCAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(f.set.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("admin.tls.client_ca_file: %w", err)
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("admin.tls.client_ca_file: %s holds no PEM certificate", f.set.ClientCAFile)
	}
	config.ClientAuth = tls.VerifyClientCertIfGiven // probes have none
	return config, nil
}
