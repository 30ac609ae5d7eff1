package chassis

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/settings"
)

// QueueServer is the section queue.server: how the embedded queue serves other
// processes at queue.listen.
type QueueServer struct {
	AccessKey   string                  `key:"access_key" doc:"id of the access key that requests must be signed with; empty: requests are not checked, and listen must be a loopback address"`
	SecretKey   settings.Secret[string] `key:"secret_key" doc:"secret of the access key"`
	Certificate string                  `key:"certificate" doc:"PEM file of the TLS certificate, its chain after it; empty: no TLS"`
	PrivateKey  string                  `key:"private_key" doc:"PEM file of the certificate's private key"`
	Hosts       []string                `key:"hosts" doc:"names under which requests may address the queue, besides localhost, IP addresses and the host of listen"`
}

// Validate reports values that need another one.
func (s QueueServer) Validate() error {
	var errs []error
	if (s.AccessKey == "") != (s.SecretKey.Reveal() == "") {
		errs = append(errs, errors.New("access_key and secret_key belong together: give both or neither"))
	}
	if (s.Certificate == "") != (s.PrivateKey == "") {
		errs = append(errs, errors.New("certificate and private_key belong together: give both or neither"))
	}
	return errors.Join(errs...)
}

func (s QueueServer) empty() bool {
	return s.AccessKey == "" && s.SecretKey.Reveal() == "" && s.Certificate == "" && s.PrivateKey == "" && len(s.Hosts) == 0
}

// options are those of the embedded queue's server.
func (s QueueServer) options() ([]localsqs.Option, error) {
	opts := []localsqs.Option{localsqs.Hosts(s.Hosts...)}
	if s.AccessKey != "" {
		opts = append(opts, localsqs.Credentials(s.AccessKey, s.SecretKey.Reveal()))
	}
	if s.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(s.Certificate, s.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("queue.server: load the certificate %s with the key %s: %w", s.Certificate, s.PrivateKey, err)
		}
		opts = append(opts, localsqs.TLS(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}))
	}
	return opts, nil
}
