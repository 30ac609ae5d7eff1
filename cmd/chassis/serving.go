package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/sambatech/chassis/queue"
	"github.com/sambatech/chassis/queue/localsqs"
)

// serving is the flags of queue serve.
type serving struct {
	path, listen, account, credentials, certificate, key string
	create, hosts                                        []string
	strict, asAWS                                        bool
	seed                                                 uint64
}

// credentialsVariable has the lines of a file of --credentials. A flag with the
// keys themselves would show them to every user of the machine.
const credentialsVariable = "LOCALSQS_CREDENTIALS"

// open starts the server.
func (o *serving) open(ctx context.Context) (*queue.Queue, error) {
	opts := []localsqs.Option{localsqs.Account(o.account)}
	if o.strict {
		opts = append(opts, localsqs.Strict())
	}
	if o.asAWS && o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano())
	}
	if o.asAWS {
		opts = append(opts, localsqs.AsAWS(o.seed))
	}
	keys, err := o.keys()
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		opts = append(opts, localsqs.Credentials(k[0], k[1]))
	}
	if (o.certificate == "") != (o.key == "") {
		return nil, usage("--tls-cert and --tls-key belong together: give both or neither")
	}
	s := queue.Settings{Path: o.path, Server: queue.ServerSettings{Certificate: o.certificate, PrivateKey: o.key,
		Hosts: o.hosts}}
	return queue.Open(ctx, s, queue.WithServerOptions(opts...))
}

// keys reads access keys and their secrets. An error names the line and shows
// nothing of it.
func (o *serving) keys() (keys [][2]string, err error) {
	text, from := os.Getenv(credentialsVariable), credentialsVariable
	if o.credentials != "" {
		b, err := os.ReadFile(o.credentials)
		if err != nil {
			return nil, err
		}
		text, from = string(b), o.credentials
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, secret, ok := strings.Cut(line, ":")
		if !ok || id == "" || secret == "" {
			return nil, usage("%s, line %d: want ID:SECRET", from, n)
		}
		keys = append(keys, [2]string{id, secret})
	}
	if o.credentials != "" && len(keys) == 0 {
		return nil, usage("%s holds no access key: want ID:SECRET a line", from)
	}
	return keys, nil
}
