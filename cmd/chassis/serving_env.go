package main

import (
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

// servingPrefix begins the variables of queue serve's flags.
const servingPrefix = "LOCALSQS_"

// servingVariable is the variable of a flag of queue serve. The one of
// --credentials has another name, for the keys themselves have that one.
func servingVariable(flag string) string {
	if flag == "credentials" {
		flag = "credentials-file"
	}
	return servingPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fromEnvironment sets the flags that were not given by their variables. A list
// has commas between its values; an empty variable does not count.
func fromEnvironment(flags *pflag.FlagSet) (err error) {
	flags.VisitAll(func(f *pflag.Flag) {
		variable := servingVariable(f.Name)
		text := os.Getenv(variable)
		if f.Changed || text == "" || err != nil {
			return
		}
		values := []string{text}
		if f.Value.Type() == "stringArray" {
			values = strings.Split(text, ",")
		}
		for _, v := range values {
			if v = strings.TrimSpace(v); v == "" {
				continue
			}
			if failed := flags.Set(f.Name, v); failed != nil {
				err = usage("the variable %s is %q: %v", variable, text, failed)
			}
		}
	})
	return err
}

// reachable is the URL of a listener as a client on this machine can use it: an
// address like 0.0.0.0 is only for listening.
func reachable(listened string) string {
	u, err := url.Parse(listened)
	if err != nil {
		return listened
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
		u.Host = net.JoinHostPort("127.0.0.1", u.Port())
	}
	return u.String()
}
