package settings_test

import (
	"slices"
	"testing"

	"github.com/sambatech/chassis/settings"
)

// In Kubernetes a Service "mail" gives every pod MAIL_PORT=tcp://10.0.0.1:80; a
// pod that sets its own MAIL_PORT=2525 over it means that.
func TestOnesOwnVariableIsDroppedForKubernetesLinks(t *testing.T) {
	type config struct {
		Port        int
		ServiceHost string
	}
	links := []string{"MAIL_SERVICE_HOST=10.0.0.1", "MAIL_SERVICE_PORT=80", "MAIL_SERVICE_PORT_HTTP=80", "MAIL_PORT_80_TCP=tcp://10.0.0.1:80", "MAIL_PORT_80_TCP_PROTO=tcp", "MAIL_PORT_80_TCP_PORT=80", "MAIL_PORT_80_TCP_ADDR=10.0.0.1"}
	six := []string{"MAIL_SERVICE_HOST=fd00::1", "MAIL_SERVICE_PORT=80", "MAIL_PORT_80_UDP=udp://[fd00::1]:80", "MAIL_PORT_80_UDP_PROTO=udp", "MAIL_PORT_80_UDP_PORT=80", "MAIL_PORT_80_UDP_ADDR=fd00::1"}
	for own, want := range map[string]int{"MAIL_PORT=2525": 2525, "MAIL_PORT=tcp://10.0.0.1:80": 25, "MAIL_PORT=udp://[fd00::1]:80": 25} {
		for _, env := range [][]string{links, six} {
			c, err := settings.Load(config{Port: 25}, settings.Environ("MAIL", append(slices.Clone(env), own)))
			if err != nil || c.Port != want || c.ServiceHost != "" {
				t.Errorf("%s: %+v, error %v; want port %d", own, c, err, want)
			}
		}
	}
	c, err := settings.Load(config{}, settings.Environ("MAIL", append(slices.Clone(links), "MAIL_SERVICE_HOST=smtp.example.org")))
	if err != nil || c.ServiceHost != "smtp.example.org" {
		t.Errorf("a host's name is no link: %+v, error %v", c, err)
	}
}
