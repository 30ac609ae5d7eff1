package admin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/sambatech/chassis/internal/clip"
)

// relay asks the admin servers of other members, in the name of a client of this one. It
// asks the address that a member has announced, and only on the host that the member has
// in the fleet, so it leads nowhere else. It sends no token: see sign.go.
type relay struct {
	here   http.Handler // of this process, behind the checks of hosts and origins
	creds  func() *credentials
	client *http.Client

	lookTime, orderTime time.Duration
}

func newRelay(here http.Handler, creds func() *credentials, set TLSSettings) *relay {
	dialer := &net.Dialer{Timeout: lookTime}              // of the handshake, too
	transport := &http.Transport{DisableKeepAlives: true, // without a proxy of the environment
		MaxResponseHeaderBytes: maxHeader, DialContext: dialer.DialContext,
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			d := tls.Dialer{NetDialer: dialer, Config: &tls.Config{MinVersion: tls.VersionTLS12,
				InsecureSkipVerify: true, VerifyConnection: trusts(set, host, nil)}} // the latter checks more
			return d.DialContext(ctx, network, addr)
		}}
	client := &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &relay{here: here, creds: creds, client: client, lookTime: lookTime, orderTime: orderTime}
}

// ask sends a request to a member's admin server and returns its answer, which is JSON.
func (r *relay) ask(ctx context.Context, m *FleetMember, method, path string, body []byte, from origin) (status int,
	answer json.RawMessage, err error) {
	if m.Self {
		return r.askHere(ctx, method, path, body, from)
	}
	base, err := addressOf(m)
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	req.Header.Set(CommandHeader, relayedCommand)
	req.Header.Set("Content-Type", "application/json")
	if err := r.creds().sign(req, body, from); err != nil {
		return 0, nil, err
	}
	res, err := r.client.Do(req)
	if err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = errors.New("no answer in time: it hangs, or the network does")
		}
		return 0, nil, fmt.Errorf("%w: %s at %s: %w", errMember, clip.ID(m.Name), clip.ID(m.Admin), unwrapURL(err))
	}
	defer res.Body.Close()
	most := maxAnswer
	if method != http.MethodGet {
		most = maxDone // of an order to all, many answers are kept at once
	}
	answer, err = io.ReadAll(io.LimitReader(res.Body, int64(most)+1))
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("%w: %s: its answer broke off: %w", errMember, clip.ID(m.Name), err)
	case len(answer) > most || !json.Valid(answer):
		return 0, nil, fmt.Errorf("%w: %s: its answer, with the status %d, is longer than %d bytes, or no JSON: is "+
			"that a chassis service?", errMember, clip.ID(m.Name), res.StatusCode, most)
	}
	return res.StatusCode, bytes.TrimSpace(answer), nil
}

// unwrapURL returns the error without the method and the URL around it.
func unwrapURL(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// relayedCommand is the value of [CommandHeader] in what a member passes on to another.
const relayedCommand = "relayed"

type hereKey struct{}

// HereAlone reports whether an order about an execution is for this process alone: each of
// the other members that it is for has been given it too.
func HereAlone(ctx context.Context) bool { return ctx.Value(hereKey{}) != nil }

// orderedCtx is the ctx of an order about an execution.
func orderedCtx(r *http.Request) context.Context {
	if r.Header.Get(CommandHeader) == relayedCommand {
		return context.WithValue(r.Context(), hereKey{}, true)
	}
	return r.Context()
}

// askHere has this process answer.
func (r *relay) askHere(ctx context.Context, method, path string, body []byte, from origin) (int, json.RawMessage,
	error) {
	id := Identity{Name: from.name, Scope: from.scope}
	ctx = WithIdentity(ctx, id)
	req, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	req.Header.Set(CommandHeader, relayedCommand)
	req.Header.Set("Content-Type", "application/json")
	req.RemoteAddr = from.addr
	w := &memory{header: http.Header{}, status: http.StatusOK}
	r.here.ServeHTTP(w, req)
	return w.status, bytes.TrimSpace(w.body.Bytes()), nil
}

// memory keeps an answer.
type memory struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (m *memory) Header() http.Header         { return m.header }
func (m *memory) WriteHeader(status int)      { m.status = status }
func (m *memory) Write(b []byte) (int, error) { return m.body.Write(b) }

// addressOf returns scheme, host and port of a member's admin server. It is an error if
// the host is not the one of the fleet's own traffic: a member must not make others ask
// what it pleases.
func addressOf(m *FleetMember) (string, error) {
	if m.Admin == "" {
		return "", fmt.Errorf("%w: %s has no admin server that others reach: give it an address of the network in "+
			"admin.listen, and a token", ErrNotNow, clip.ID(m.Name))
	}
	u, err := url.Parse(m.Admin)
	host, _, bad := net.SplitHostPort(m.Addr)
	if err != nil || bad != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Port() == "" ||
		net.ParseIP(host) == nil || !net.ParseIP(host).Equal(net.ParseIP(u.Hostname())) {
		return "", fmt.Errorf("%w: %s has its admin server at %s and is a member from %s: only an admin server on "+
			"the address of the member is asked; set admin.listen to it, or to 0.0.0.0", ErrNotNow, clip.ID(m.Name),
			clip.ID(m.Admin), clip.ID(m.Addr))
	}
	return u.Scheme + "://" + u.Host, nil
}

// trusts returns the check of the certificate of the member at host: it is the one of this
// process, or it is valid for host, or for a name of this one's. The ServerName of the
// connection says nothing: it is empty where host is an address, and without a name any valid
// certificate would do. nil roots are those of the machine.
func trusts(set TLSSettings, host string, roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(c tls.ConnectionState) error {
		leaf := c.PeerCertificates[0]
		opts := x509.VerifyOptions{Intermediates: x509.NewCertPool(), Roots: roots}
		for _, i := range c.PeerCertificates[1:] {
			opts.Intermediates.AddCert(i)
		}
		names := []string{host}
		if set.CertFile != "" {
			own, err := tls.LoadX509KeyPair(set.CertFile, set.KeyFile)
			if err == nil && slices.Equal(own.Certificate[0], leaf.Raw) {
				return nil
			}
			if err == nil && own.Leaf != nil {
				names = append(names, own.Leaf.DNSNames...)
			}
		}
		var err error
		for _, name := range names {
			opts.DNSName = name
			if _, err = leaf.Verify(opts); err == nil {
				return nil
			}
		}
		return fmt.Errorf("its certificate is not this process's own, and not valid: %w", err)
	}
}

// close ends the connections that are not in use.
func (r *relay) close() { r.client.CloseIdleConnections() }
