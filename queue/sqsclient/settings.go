package sqsclient

import "time"

// Settings say where the queue service is. The zero value is AWS itself, in
// the region and with the credentials that the SDK's own chain finds.
type Settings struct {
	// Endpoint is the base URL of the service, for one that is not AWS's own
	// (a VPC endpoint, an SQS-compatible server). Empty: AWS's endpoint of the
	// region. http or https, a host, no query.
	Endpoint string `key:"endpoint" rule:"zero,url" doc:"base URL of the queue service; empty: AWS's own endpoint of the region"`

	// Region is the AWS region. Empty: AWS_REGION, AWS_DEFAULT_REGION or the
	// profile's.
	Region string `key:"region" doc:"AWS region, for example eu-central-1; empty: from AWS_REGION or the shared profile"`

	// Profile is the name of a profile in the shared AWS files. Empty:
	// AWS_PROFILE, or the default profile.
	Profile string `key:"profile" doc:"profile of the shared AWS configuration files; empty: AWS_PROFILE or the default one"`

	// MaxAttempts is how often one request is tried in all, 1 to 10. Zero
	// means 3, the SDK's own default.
	MaxAttempts int `key:"max_attempts" rule:"optional,min=1,max=10" doc:"tries of one request in all, 1 to 10; default 3"`

	// MaxBackoff is the longest wait between two tries. Zero means 2 s: a
	// queue worker has loops of its own around the client.
	MaxBackoff time.Duration `key:"max_backoff" rule:"optional,positive,max=1m" doc:"longest wait between two tries of one request; default 2s"`

	// IdleConnections is how many idle connections are kept to the endpoint.
	// Zero means 256; the SDK keeps 10.
	IdleConnections int `key:"idle_connections" rule:"optional,min=1,max=10000" doc:"idle connections kept to the endpoint; default 256"`
}

// DefaultSettings returns the settings with every default filled in.
func DefaultSettings() Settings { return Settings{}.withDefaults() }

func (s Settings) withDefaults() Settings {
	if s.MaxAttempts == 0 {
		s.MaxAttempts = 3
	}
	if s.MaxBackoff == 0 {
		s.MaxBackoff = 2 * time.Second
	}
	if s.IdleConnections == 0 {
		s.IdleConnections = 256
	}
	return s
}
