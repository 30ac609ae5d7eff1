package awssource

import (
	"fmt"
	"strings"
)

// Schemes of addresses.
const (
	schemeSSM       = "ssm"
	schemeSecrets   = "secretsmanager"
	schemeAppConfig = "appconfig"
)

// address is what an address names.
type address struct {
	scheme string
	name   string // of a parameter or path, a secret's id, or application/environment/profile
	stage  string // of a secret's version; "" is AWSCURRENT
	key    string // of a JSON object
	path   bool   // all parameters below name
}

// parse reads an address. Its error says what was expected.
func parse(text string) (address, error) {
	scheme, rest, _ := strings.Cut(text, ":")
	a := address{scheme: scheme, name: rest}
	wrong := func(format string, args ...any) (address, error) {
		return address{}, fmt.Errorf("not an address: "+format, args...)
	}
	if scheme != schemeAppConfig {
		var has bool
		if a.name, a.key, has = strings.Cut(a.name, "#"); has && a.key == "" {
			return wrong("after # comes the name of a key")
		}
	}
	switch scheme {
	case schemeSSM:
		if a.path = strings.HasSuffix(a.name, "/"); a.path && (a.key != "" || !strings.HasPrefix(a.name, "/")) {
			return wrong("a path is like ssm:/mailer/, without a key")
		}
		if a.name == "" || strings.Contains(a.name, "//") || strings.ContainsAny(a.name, " \t\r\n?") {
			return wrong("a parameter is like ssm:/mailer/token")
		}
	case schemeSecrets:
		var query string
		var has bool
		if a.name, query, has = strings.Cut(a.name, "?"); has {
			if a.stage, has = strings.CutPrefix(query, "stage="); !has || a.stage == "" {
				return wrong("after ? comes stage=, like ?stage=AWSPREVIOUS")
			}
		}
		if a.name == "" || strings.ContainsAny(a.name, " \t\r\n") {
			return wrong("a secret is like secretsmanager:mailer/db")
		}
	case schemeAppConfig:
		parts := strings.Split(a.name, "/")
		if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
			return wrong("a configuration is like appconfig:application/environment/profile")
		}
	default:
		return wrong("it begins with ssm:, secretsmanager: or appconfig:")
	}
	return a, nil
}

// whole is the address without a key: what is read at once. The name of the default stage is left out, so that the
// user and the password of a secret are of one version however their addresses are written.
func (a address) whole() address {
	a.key = ""
	if a.stage == current {
		a.stage = ""
	}
	return a
}

// String is the address as it is written in a file.
func (a address) String() string {
	s := a.scheme + ":" + a.name
	if a.stage != "" {
		s += "?stage=" + a.stage
	}
	if a.key != "" {
		s += "#" + a.key
	}
	return s
}
