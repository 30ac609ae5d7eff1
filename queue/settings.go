package queue

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/settings"
)

// SQSSettings is the part of [Settings] that is for SQS.
type SQSSettings = sqsclient.Settings

// Settings is the section queue. With neither endpoint nor region nor profile
// the queue is the embedded one; with any of them it is SQS.
type Settings struct {
	Path   string         `key:"path" doc:"file that keeps the embedded queue's messages; empty: in memory, and gone with the process"`
	Memory string         `key:"in_memory" rule:"oneof=allow|forbid" doc:"whether the embedded queue may be in memory: with forbid a service that has neither a path nor SQS does not start; default allow"`
	Listen string         `key:"listen" doc:"address, for example 127.0.0.1:9324, on which the embedded queue also serves other processes; off loopback it needs server.access_key; empty: none"`
	Server ServerSettings `key:"server"`
	SQSSettings
}

// ServerSettings is the section queue.server: how the embedded queue serves other
// processes at queue.listen.
type ServerSettings struct {
	AccessKey   string                  `key:"access_key" doc:"id of the access key that requests must be signed with; empty: requests are not checked, and listen must be a loopback address"`
	SecretKey   settings.Secret[string] `key:"secret_key" doc:"secret of the access key"`
	Certificate string                  `key:"certificate" doc:"PEM file of the TLS certificate, its chain after it; empty: no TLS"`
	PrivateKey  string                  `key:"private_key" doc:"PEM file of the certificate's private key"`
	Hosts       []string                `key:"hosts" doc:"names under which requests may address the queue, besides localhost, IP addresses and the host of listen"`
}

// DefaultSettings returns the settings with every default filled in.
func DefaultSettings() Settings {
	return Settings{Memory: "allow", SQSSettings: sqsclient.DefaultSettings()}
}

// Embedded reports whether the queue is the embedded one.
func (s Settings) Embedded() bool {
	return s.Endpoint == "" && s.Region == "" && s.Profile == ""
}

func (s Settings) inMemory() bool { return s.Embedded() && s.Path == "" }

// Validate reports values that contradict each other.
func (s Settings) Validate() error {
	if !s.Embedded() && (s.Path != "" || s.Listen != "") {
		return errors.New("path and listen are of the embedded queue, but endpoint, region or profile choose SQS: " +
			"leave out one or the other")
	}
	if s.Listen == "" && !s.Server.empty() {
		return errors.New("server is of the address listen, which is empty: set it, or leave out server")
	}
	if err := s.Server.Validate(); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return nil
}

// CheckMemory returns an error if the queue would be in memory and in_memory
// forbids that.
func (s Settings) CheckMemory() error {
	if s.inMemory() && s.Memory == "forbid" {
		return errors.New("in_memory is forbid, and nothing else is chosen: set queue.region for SQS, or " +
			"queue.path for a file")
	}
	return nil
}

// awsVariables are set where a process runs on AWS (Lambda, ECS, EKS), or is
// meant to reach it.
var awsVariables = []string{
	"AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME", "ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_PROFILE",
}

// WarnOfAWS logs a warning if an environment variable names AWS although these
// settings keep the queue in memory.
func (s Settings) WarnOfAWS(log *slog.Logger) {
	if !s.inMemory() {
		return
	}
	for _, name := range awsVariables {
		if os.Getenv(name) != "" {
			log.Warn("the environment names AWS, but the queue is embedded and in memory: set queue.region to use "+
				"SQS, and queue.in_memory to forbid to be stopped here", "variable", name)
			return
		}
	}
}

// Validate reports values that need another one.
func (s ServerSettings) Validate() error {
	var errs []error
	if (s.AccessKey == "") != (s.SecretKey.Reveal() == "") {
		errs = append(errs, errors.New("access_key and secret_key belong together: give both or neither"))
	}
	if (s.Certificate == "") != (s.PrivateKey == "") {
		errs = append(errs, errors.New("certificate and private_key belong together: give both or neither"))
	}
	return errors.Join(errs...)
}

func (s ServerSettings) empty() bool {
	return s.AccessKey == "" && s.SecretKey.Reveal() == "" && s.Certificate == "" && s.PrivateKey == "" &&
		len(s.Hosts) == 0
}

// options returns the options of the embedded queue's server.
func (s ServerSettings) options() ([]localsqs.Option, error) {
	opts := []localsqs.Option{localsqs.Hosts(s.Hosts...)}
	if s.AccessKey != "" {
		opts = append(opts, localsqs.Credentials(s.AccessKey, s.SecretKey.Reveal()))
	}
	if s.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(s.Certificate, s.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("load the certificate %s with the key %s: %w", s.Certificate, s.PrivateKey, err)
		}
		opts = append(opts, localsqs.TLS(&tls.Config{Certificates: []tls.Certificate{pair},
			MinVersion: tls.VersionTLS12}))
	}
	return opts, nil
}
