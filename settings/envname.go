package settings

import (
	"fmt"
	"strconv"
	"strings"
)

// EnvName is the variable of a setting: the prefix, then the path's names in upper case with "__" between levels,
// so tasks.workers of prefix CHASSIS is CHASSIS_TASKS__WORKERS. Every name, whatever its characters, has exactly
// one variable and every variable that EnvName gives exactly one name: a byte that is not a-z, 0-9 or a single
// inner "_" is written x and two hex digits in lower case (max-rate is MAXx2dRATE), an empty name is xx.
func EnvName(prefix string, path ...string) string {
	var b strings.Builder
	b.WriteString(prefix)
	for i, name := range path {
		if i > 0 {
			b.WriteString("__")
		} else if prefix != "" {
			b.WriteByte('_')
		}
		writeEnvName(&b, name)
	}
	return b.String()
}

func writeEnvName(b *strings.Builder, name string) {
	if name == "" {
		b.WriteString("xx")
		return
	}
	inner := false // whether the last byte written leaves a "_" to be an inner one
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z':
			b.WriteByte(c - 'a' + 'A')
			inner = true
		case '0' <= c && c <= '9':
			b.WriteByte(c)
			inner = true
		case c == '_' && inner && i+1 < len(name) && name[i+1] != '_':
			b.WriteByte('_')
			inner = false
		default:
			fmt.Fprintf(b, "x%02x", c)
			inner = true
		}
	}
}

// EnvPath is the path of a variable, or false if no path has this variable.
func EnvPath(prefix, variable string) ([]string, bool) {
	rest := variable
	if prefix != "" {
		var ok bool
		if rest, ok = strings.CutPrefix(variable, prefix+"_"); !ok {
			return nil, false
		}
	}
	path := make([]string, 0, 4)
	for {
		part, more, found := strings.Cut(rest, "__")
		name, ok := readEnvName(part)
		if !ok {
			return nil, false
		}
		path = append(path, name)
		if !found {
			return path, true
		}
		rest = more
	}
}

func readEnvName(part string) (string, bool) {
	if part == "xx" {
		return "", true
	}
	out := make([]byte, 0, len(part))
	plain := part != "" && part[0] != '_' && part[len(part)-1] != '_' // and without escapes
	for i := 0; i < len(part); i++ {
		switch c := part[i]; {
		case 'A' <= c && c <= 'Z':
			out = append(out, c-'A'+'a')
		case '0' <= c && c <= '9' || c == '_':
			out = append(out, c)
		case c == 'x' && i+2 < len(part):
			n, err := strconv.ParseUint(part[i+1:i+3], 16, 8)
			if err != nil {
				return "", false
			}
			out = append(out, byte(n))
			i += 2
			plain = false
		default:
			return "", false
		}
	}
	// An escape where none was due would give a name two variables.
	return string(out), plain || EnvName("", string(out)) == part
}
