package localsqs_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sambatech/chassis/queue/localsqs"
)

func TestHostileListenersHearNothingOverTLS(t *testing.T) {
	kit := httptest.NewTLSServer(nil) // for its certificate
	defer kit.Close()
	srv := newServer(t, localsqs.Credentials("id", "secret"), localsqs.TLS(kit.TLS))
	url := listen(t, srv)
	if !strings.HasPrefix(url, "https://") {
		t.Fatalf("listens at %s", url)
	}
	roots := x509.NewCertPool()
	roots.AddCert(kit.Certificate())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	client := signedClient(t, url, transport)
	queue := createQueue(t, client, "jobs", nil)
	if !strings.HasPrefix(*queue, "https://") {
		t.Errorf("the queue's URL is %s", *queue)
	}
	send(t, client, queue, "x")
	if got := receive(t, client, queue, 1, 0); len(got) != 1 {
		t.Errorf("received %d messages", len(got))
	}
	if res, err := http.Get("http://" + strings.TrimPrefix(url, "https://") + "/-/health"); err == nil {
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			t.Error("it answers without TLS")
		}
	}
	old := &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS11}
	if conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), old); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 is served")
	}
}
