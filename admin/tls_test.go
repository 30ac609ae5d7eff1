package admin

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestHostileClientIsKnownByItsCertificate, and probes need none.
func TestHostileClientIsKnownByItsCertificate(t *testing.T) {
	dir := t.TempDir()
	ca, stranger := authority(t, "our authority"), authority(t, "another authority")
	files := ca.issue(t, dir, "server")
	caFile := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(caFile, ca.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	p := newPlant()
	srv := listening(t, p, Settings{Listen: "127.0.0.1:0", TLS: TLSSettings{CertFile: files[0], KeyFile: files[1], ClientCAFile: caFile, ClientScope: ScopeOperate}})
	if !strings.HasPrefix(srv.URL(), "https://") {
		t.Errorf("served at %s", srv.URL())
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.pem)
	try := func(path string, cert [2]string) int {
		config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		if cert[0] != "" {
			pair, err := tls.LoadX509KeyPair(cert[0], cert[1])
			if err != nil {
				t.Fatal(err)
			}
			config.Certificates = []tls.Certificate{pair}
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config}}
		res, err := client.Get(srv.URL() + path)
		if err != nil {
			return 0
		}
		res.Body.Close()
		return res.StatusCode
	}
	if got := []int{try("livez", [2]string{}), try("api/v1/state", [2]string{}), try("api/v1/state", ca.issue(t, dir, "alice")), try("api/v1/state", stranger.issue(t, dir, "mallory"))}; fmt.Sprint(got) != "[200 401 200 0]" && fmt.Sprint(got) != "[200 401 200 401]" {
		t.Errorf("a probe, nothing, ours, a stranger's: %v", got)
	}
}

// TestARenewedCertificateIsServed without a restart. While only one of its two files
// is there (a renewal takes a moment), the one before is served.
func TestARenewedCertificateIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, spare := t.TempDir(), t.TempDir()
		ours := authority(t, "our authority")
		files, renewed := ours.issue(t, dir, "server"), ours.issue(t, spare, "server")
		config, err := newTLS(TLSSettings{CertFile: files[0], KeyFile: files[1]})
		if err != nil {
			t.Fatal(err)
		}
		served := func() [2]bool { // the first one, the renewed one
			time.Sleep(rereadAfter)
			now, err := config.GetConfigForClient(nil)
			if err != nil {
				t.Fatal(err)
			}
			var is [2]bool
			for i, of := range [2]string{filepath.Join(dir, "first"), renewed[0]} {
				text, err := os.ReadFile(of)
				if err != nil {
					t.Fatal(err)
				}
				block, _ := pem.Decode(text)
				is[i] = bytes.Equal(block.Bytes, now.Certificates[0].Certificate[0])
			}
			return is
		}
		move := func(from, to string) {
			text, err := os.ReadFile(from)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(to+".new", text, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(to+".new", to); err != nil {
				t.Fatal(err)
			}
			old := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) // the real time may not have gone on by a tick of the file system
			if err := os.Chtimes(to, old, old); err != nil {
				t.Fatal(err)
			}
		}
		move(files[0], filepath.Join(dir, "first"))
		if is := served(); is != [2]bool{true, false} {
			t.Errorf("before the renewal: %v", is)
		}
		move(renewed[0], files[0])
		if is := served(); is != [2]bool{true, false} {
			t.Errorf("with the new certificate and the old key: %v", is)
		}
		move(renewed[1], files[1])
		if is := served(); is != [2]bool{false, true} {
			t.Errorf("after the renewal: %v", is)
		}
	})
}

// ca issues certificates for a test.
type ca struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func authority(t *testing.T, name string) *ca {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &ca{key, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue writes a certificate and its key, and returns the two files.
func (c *ca) issue(t *testing.T, dir, name string) (files [2]string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, form, c.cert, &key.PublicKey, c.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "EC PRIVATE KEY", Bytes: private}} {
		files[i] = filepath.Join(dir, fmt.Sprintf("%s-%d.pem", name, i))
		if err := os.WriteFile(files[i], pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestHostileHandshakesKeepNoProbeOut: 600 connections that never shake hands.
func TestHostileHandshakesKeepNoProbeOut(t *testing.T) {
	files := authority(t, "our authority").issue(t, t.TempDir(), "server")
	srv := listening(t, newPlant(), Settings{Listen: "127.0.0.1:0", TLS: TLSSettings{CertFile: files[0], KeyFile: files[1]}})
	for i := range 600 {
		connect(t, srv, []string{"", "\x16\x03\x01"}[i%2])
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // #nosec G402 -- the server is this test's own
	for range 30 {
		res, err := client.Get(srv.URL() + "livez")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
}
