package pools

import "strings"

// NameFor makes the name of a task pool from that of a service: lower case, with
// a hyphen for what the name of a queue cannot hold.
func NameFor(service string) string {
	name := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, strings.ToLower(service))
	if len(name) > 70 { // SQS allows 80, the dead letters' suffix included
		name = name[:70]
	}
	return name + "-tasks"
}
