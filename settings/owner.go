package settings

import (
	"slices"
	"strings"
)

// NamesTaken adds to the first mistake of err in each of sections, which belong to
// owner, what to do if the section is the service's own.
func NamesTaken(err error, owner string, sections ...string) error {
	top := func(path string) string {
		name, _, _ := strings.Cut(path, ".")
		return name
	}
	said := map[string]bool{}
	for _, m := range Mistakes(err) {
		name := top(m.Path)
		unknown := m.Kind == KindUnknown &&
			(m.Suggestion == "" || top(m.Suggestion) != name && strings.Contains(m.Suggestion, "."))
		scalar := m.Kind == KindType && m.Path == name
		if said[name] || m.Pos.File == "" || !slices.Contains(sections, name) || !unknown && !scalar {
			continue
		}
		said[name] = true
		m.Suggestion = ""
		m.Problem += "; the section " + name + " is " + owner +
			": if this one is the service's own, give it another name, for example own_" + name +
			", in the file and where it is read, or give the Go service a file of its own"
	}
	return err
}
